"""The server: FedAvg over all sites, by SecAgg+ where `secure`. A round is timed from its start to its average."""

import time

import numpy as np
from flwr.app import Context
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import Grid, LegacyContext, ServerApp, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow


class Timed(FedAvg):
    """The time from the sites' selection to the average; the first round is not counted, it starts processes."""

    def __init__(self, length: int, **options):
        # What goes down is one number, as nothing but a hash does in the program compared with.
        super().__init__(initial_parameters=ndarrays_to_parameters([np.zeros(1, np.float32)]), **options)
        self.length, self.times, self.start = length, [], 0.0

    def configure_fit(self, server_round, parameters, client_manager):
        self.start = time.perf_counter()
        parameters = ndarrays_to_parameters([np.zeros(1, np.float32)])
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(self, server_round, results, failures):
        mean, metrics = super().aggregate_fit(server_round, results, failures)
        self.times.append(time.perf_counter() - self.start)
        vector = parameters_to_ndarrays(mean)[0]
        assert vector.shape == (self.length,) and abs(float(vector[0]) - 1.0) < 0.01, "this is not the average"
        return mean, metrics


app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    sites, rounds = int(config["sites"]), int(config["rounds"])
    strategy = Timed(
        int(config["length"]),
        fraction_fit=1.0,
        fraction_evaluate=0.0,
        min_fit_clients=sites,
        min_available_clients=sites,
        accept_failures=False,
    )
    legacy = LegacyContext(context=context, config=ServerConfig(num_rounds=rounds + 1), strategy=strategy)
    # Shares for everybody, and as many to open them as our own threshold for five sites.
    secure = None
    if config["secure"]:
        secure = SecAggPlusWorkflow(num_shares=sites, reconstruction_threshold=sites // 2 + 1)
    DefaultWorkflow(fit_workflow=secure)(grid, legacy)
    with open(str(config["out"]), "w") as file:
        file.write(" ".join(str(seconds) for seconds in strategy.times[1:]))
