"""Whether all that a picture says can be read."""


def assert_fits(figure):
    """Drawing raises no warning, and no text leaves the figure or lies on another."""
    figure.canvas.draw()
    boxes = []
    for text in texts(figure):
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text
        assert not any(box.overlaps(other) for other in boxes), text
        boxes.append(box)


def texts(figure):
    """Every title, label, legend entry, note and tick's label of the figure that is seen."""
    found = []
    insets = [inset for outer in figure.axes for inset in outer.child_axes]
    for ax in [*figure.axes, *insets]:
        found += ax.texts
        found += [ax.title, ax._left_title]
        if ax.get_legend():
            found += ax.get_legend().get_texts()
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            if not ax.axison:
                continue
            found.append(axis.label)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if min(limits) <= tick.get_loc() <= max(limits) and tick.label1.get_visible():
                    found.append(tick.label1)
    return [text for text in found if text.get_text().strip()]
