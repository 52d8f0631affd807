"""x"""
import json
class Results:
    def __init__(self, options): self.g={}
    def add(self, group, measured, left_out):
        for k,r in measured.items():
            s=r.summary(); print(k, s["cpu_microseconds"], s["requests_per_second"]["median"], s["latency_milliseconds"])
def write(r,o): pass
