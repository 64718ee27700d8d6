"""What the command's verbs and Python users call: each takes a checked configuration, resolves it
into explicit arguments, and has the packages below do the work.

`import ppcls` offers these functions on first use, as in `ppcls.export(config)`. Modules here
import Paddle inside their functions, after `ppcls.runtime.prepare`.
"""
