class NOJDeficit:
    def __init__(self, k):
        self.k = k
