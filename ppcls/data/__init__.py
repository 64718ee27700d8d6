"""From image files to batches: transforms, data sets, samplers, loader. Never imports Paddle."""
