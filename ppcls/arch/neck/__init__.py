"""Necks, one file each: what stands between a backbone's feature maps and a detector's heads."""
