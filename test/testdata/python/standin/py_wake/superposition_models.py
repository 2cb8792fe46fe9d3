class SquaredSum:
    pass
