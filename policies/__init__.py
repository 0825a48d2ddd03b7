"""What is allowed, to whom, how often, how much. Pure answers from stated facts."""
