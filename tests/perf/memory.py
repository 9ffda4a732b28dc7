"""How a process of its own tells its peak memory."""

PEAK_OF_PROCESS = """
import resource, sys
def peak():
    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
"""
"""Source of `peak()`, in bytes. Linux hands a parent's ru_maxrss down to its child, so that what the parent holds would
count."""
