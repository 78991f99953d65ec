"""What branch `cluster` will bring."""
from loadtest.cluster.local import LocalCluster
from loadtest.cluster.protocol import Process
import psutil

class InterimCluster(LocalCluster):
    def capabilities(self): return frozenset({"stop","kill","pause"})
    def processes(self):
        names={"RUNNING":"alive","STARTING":"dead","STOPPING":"draining","BACKOFF":"dead"}
        out=[]
        for i in super().processes():
            state=names.get(i["statename"],"dead")
            if state=="alive" and psutil.Process(i["pid"]).status()=="stopped": state="paused"
            out.append(Process(i["name"],i["group"],state,i["pid"] or None))
        return out
    def infos(self): return LocalCluster.processes(self)
    def replicas(self): return [i["name"] for i in LocalCluster.processes(self) if i["group"]=="app"]
    def _process(self,name):
        return next(i for i in LocalCluster.processes(self) if i["name"]==name)
    def halted(self): return []
    def _halted(self,name): return False
    def _members(self):
        found={}
        from loadtest.cluster import processes
        from loadtest.cluster.protocol import ClusterError
        for info in LocalCluster.processes(self):
            if not info["pid"]: raise ClusterError(info["name"])
            family=processes.family(info["pid"])
            if not family: raise ProcessLookupError(info["pid"])
            parent,*children=family
            found[info["name"]]=(info["group"],parent.pid)
            found|={f"{info['name']}/{c.pid}":(info["group"],c.pid) for c in children}
        return found
    def pause(self,name): self.signal(name,"STOP")
    def resume(self,name): self.signal(name,"CONT")
    def stop(self,name=None):
        if name is None: return super().stop()
        self._supervisor._call("stopProcess",self._process(name)["group"]+":"+name)
    def start(self,name=None):
        if name is None: return super().start()
        self._supervisor.start(self._process(name)); self.wait_ready()
    def rolling_restart(self):
        for n in self.replicas(): self.restart(n)
