"""What other toolkits call the parameters of our networks, and which of our networks theirs are."""
