"""Red Stuff (RS2): the Walrus network's code, bit for bit."""
