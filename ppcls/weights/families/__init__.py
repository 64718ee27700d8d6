"""How other toolkits name the parameters of our families, one file for each family.

A file says in `FAMILY` which class of `ppcls.arch.backbone` it is for, and in `NAMINGS` what each
toolkit does: {"paddleclas" | "torchvision" | "timm" | ...: `Naming`}.
"""
