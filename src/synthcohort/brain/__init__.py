"""The brain of one person: how it ages, where its regions are, what it is made of.

aging    published curves and the constants that reproduce them
regions  where frontal lobe, hippocampus and the others are
tissues  from the average anatomy to the tissues of one person
vessels  what takes up gadolinium in everyone
"""
