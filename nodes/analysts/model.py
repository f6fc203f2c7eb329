def check_model(x):
    pass


def model_analyst(x=None):
    pass
