"""Programs that run in the pods: the supervisor of a group, the download, the clients of `helm test`.

They travel in ConfigMaps, because there is no image of ours: `make generate` copies them to charts/llm-serving/files,
where a module imports its siblings by their bare names. They run on whatever Python 3 an image brings (3.9 and newer)
with the standard library; the download adds huggingface_hub, the client of TGIS grpc and protobuf, each from the
engine's own image.
"""
