"""Clients of a running engine, one module per protocol; each can be used without the command line.

openai   vLLM and TGI: HTTP with server-sent events, the standard library alone
tgis     TGIS: gRPC, needs the extra `tgis`
forward  the way into a cluster: `kubectl port-forward` to the Service of a release
"""
