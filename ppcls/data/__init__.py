"""From image files to batches: transforms, data sets, samplers and the loader. NumPy and OpenCV only, never Paddle."""
