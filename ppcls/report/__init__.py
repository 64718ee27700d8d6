"""Why a trained network errs: what is found in its mistakes and in its data, and the page that
shows it.

`gather` finds; what it finds is plain data (`findings`), of which `page` makes HTML and `record`
JSON.
"""
