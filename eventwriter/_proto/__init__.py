"""Generated from proto/ by `python proto/generate.py`. Never edited by hand."""
