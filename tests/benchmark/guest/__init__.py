"""The half of the benchmark that runs inside the guest; standard library, fio and LVM only."""
