"""Makes what the documents show between `<!-- output: NAME -->` marks (`make docs`), and tests that it still holds."""
