"""What tests of pictures share."""


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def assert_everything_fits(figure):
    """Drawing raises no warning, and no text leaves the figure or lies on another."""
    figure.canvas.draw()
    texts = [
        text
        for ax in figure.axes
        for text in [ax.title, ax.xaxis.label, ax.yaxis.label, ax._left_title, *ax.texts]
        if text.get_text()
    ]
    boxes = [text.get_window_extent() for text in texts]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, texts[i]
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, texts[i]
        assert not any(box.overlaps(other) for other in boxes[:i]), texts[i]
