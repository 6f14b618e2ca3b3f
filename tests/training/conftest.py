import pytest
import torch


@pytest.fixture(scope="module")
def single_thread():
    """Threads of so small networks mostly wait for each other, for long when cores are busy"""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)
