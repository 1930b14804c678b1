"""A site: answers with its vector of float32."""

import numpy as np
from flwr.app import Context
from flwr.client import NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.clientapp import ClientApp


class Vector(NumPyClient):
    def __init__(self, length: int):
        self.vector = np.full(length, 1.0, dtype=np.float32)

    def fit(self, parameters, config):
        return [self.vector], 1, {}


def client_fn(context: Context):
    return Vector(int(context.run_config["length"])).to_client()


def where_secure(message, context, call_next):
    secure = context.run_config["secure"]
    return secaggplus_mod(message, context, call_next) if secure else call_next(message, context)


app = ClientApp(client_fn=client_fn, mods=[where_secure])
