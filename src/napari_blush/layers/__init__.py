"""Maps as layers, and what is drawn over them."""
