"""One of each optimizer, under the names of the fixture that PyTorch made."""

from bptt import SGD, AdaGrad, Adam, AdamW, RMSProp

OPTIMIZERS = {
    "sgd": SGD(0.05),
    "momentum": SGD(0.05, momentum=0.9),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "sgd_decay": SGD(0.05, momentum=0.8, weight_decay=0.1),
    "nesterov_decay": SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.1),
    "adagrad": AdaGrad(0.1),
    "rmsprop": RMSProp(0.02, alpha=0.95),
    "rmsprop_momentum": RMSProp(0.01, momentum=0.9, eps=1e-5),
    "centered": RMSProp(0.01, alpha=0.95, eps=1e-4, momentum=0.9, centered=True),
    "adam": Adam(0.02, beta1=0.8, beta2=0.99, eps=1e-6),
    "adam_decay": Adam(0.02, weight_decay=0.1),
    "adamw": AdamW(0.02, weight_decay=0.5),
}
