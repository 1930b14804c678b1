"""One round: every site sends a vector of float32, the server averages them. Timed at the server."""

import time

import numpy as np
from nvflare.apis.controller_spec import Task
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal


class VectorController(Controller):
    def __init__(self, rounds: int, sites: int, length: int, out: str):
        super().__init__()
        self.rounds, self.sites, self.length, self.out = rounds, sites, length, out
        self.total, self.count = None, 0

    def start_controller(self, fl_ctx):
        pass

    def stop_controller(self, fl_ctx):
        pass

    def process_result_of_unknown_task(self, client, task_name, client_task_id, result, fl_ctx):
        pass

    def received(self, client_task, fl_ctx):
        vector = from_shareable(client_task.result).data["vector"]
        self.total = vector.astype(np.float64) if self.total is None else self.total + vector
        self.count += 1
        client_task.result = None

    def control_flow(self, abort_signal: Signal, fl_ctx):
        times = []
        # The first round is not counted: connections are made in it.
        for _ in range(self.rounds + 1):
            self.total, self.count = None, 0
            start = time.perf_counter()
            self.broadcast_and_wait(
                task=Task(name="vector", data=Shareable(), result_received_cb=self.received),
                fl_ctx=fl_ctx,
                min_responses=self.sites,
                abort_signal=abort_signal,
            )
            assert self.count == self.sites, f"{self.count} of {self.sites} answered"
            mean = self.total / self.count
            times.append(time.perf_counter() - start)
            assert mean.shape == (self.length,) and abs(mean[0] - 1.0) < 1e-6
        with open(self.out, "w") as file:
            file.write(" ".join(str(seconds) for seconds in times[1:]))


class VectorExecutor(Executor):
    def __init__(self, length: int):
        super().__init__()
        self.length = length
        self.vector = None

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        if self.vector is None:
            self.vector = np.full(self.length, 1.0, dtype=np.float32)
        return DXO(data_kind=DataKind.WEIGHTS, data={"vector": self.vector}).to_shareable()
