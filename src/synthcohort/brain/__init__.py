"""The brain of one person: how it ages, where its regions are, what it is made of."""
