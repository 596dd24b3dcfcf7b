"""What the dock widgets share: their life, cards, boxes of layers, the diameter's row, weights and device."""
