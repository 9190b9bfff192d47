"""State losses: what two models hold inside, compared where both answered. Projections live in the loss."""
