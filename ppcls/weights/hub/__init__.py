"""Published weights: what is known of them, where they are, and fetching them into a cache."""
