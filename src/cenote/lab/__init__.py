"""What every experiment shares: data, training, timing, the runner, the verdict rule, the report."""
