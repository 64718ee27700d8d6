"""Parameter names in other toolkits, one file for each family of our networks.

A file says in `FAMILY` which class of `ppcls.arch.backbone` it is for, and in `NAMINGS` what each
toolkit does: {"paddleclas" | "torchvision" | "timm" | ...: `Naming`}.
"""
