"""The families of networks, one file each; importing a file registers its variants."""
