"""How a student is made: pretrained, layer_drop, from_scratch."""
