"""A gRPC server with one method of each kind, and a client that asks all of them. Messages are plain bytes."""
import sys
import threading
from concurrent import futures

import grpc

SAME = dict(request_deserializer=None, response_serializer=None)


def unary(request, context):
    if request == b"fail":
        context.set_trailing_metadata((("why", "because"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as you wish")
    if request == b"hang":
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(30)
        print("cancelled", flush=True)
    context.set_trailing_metadata((("tail", "end"),))
    return request * 2


def many(request, context):
    for count in range(int(request)):
        yield b"%d" % count


def sum_up(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def talk(requests, context):
    for request in requests:
        yield b"you said " + request


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "/peer/Unary": grpc.unary_unary_rpc_method_handler(unary, **SAME),
            "/peer/Many": grpc.unary_stream_rpc_method_handler(many, **SAME),
            "/peer/Sum": grpc.stream_unary_rpc_method_handler(sum_up, **SAME),
            "/peer/Talk": grpc.stream_stream_rpc_method_handler(talk, **SAME),
        }.get(details.method)


def serve(files):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Service(),))
    if files:
        chain, key = (open(file, "rb").read() for file in files)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


def ask(address, ca):
    options = [("grpc.max_receive_message_length", -1), ("grpc.ssl_target_name_override", "localhost")]
    if ca:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(open(ca, "rb").read()), options)
    else:
        channel = grpc.insecure_channel(address, options)
    call = channel.unary_unary("/peer/Unary")
    answer, told = call.with_call(b"hello", timeout=30, wait_for_ready=True)
    assert answer == b"hellohello", answer
    assert ("tail", "end") in [tuple(pair) for pair in told.trailing_metadata()], told.trailing_metadata()
    large = b"x" * 3_000_000
    assert call(large, timeout=30) == large * 2
    try:
        call(b"fail", timeout=30)
        raise AssertionError("it must fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        assert error.details() == "as you wish", error
        assert ("why", "because") in [tuple(pair) for pair in error.trailing_metadata()], error
    try:
        channel.unary_unary("/peer/Nothing")(b"", timeout=30)
        raise AssertionError("it must fail")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    counted = list(channel.unary_stream("/peer/Many")(b"2000", timeout=30))
    assert counted == [b"%d" % count for count in range(2000)]
    summed = channel.stream_unary("/peer/Sum")((b"y" * 1000 for _ in range(500)), timeout=30)
    assert summed == b"500000", summed
    # each word goes only when the one before it was answered
    turn = threading.Semaphore(1)

    def words():
        for word in (b"one", b"two", b"three"):
            turn.acquire()
            yield word

    heard = []
    for answer in channel.stream_stream("/peer/Talk")(words(), timeout=30):
        heard.append(answer)
        turn.release()
    assert heard == [b"you said one", b"you said two", b"you said three"], heard
    hanging = call.future(b"hang", timeout=30)
    threading.Timer(0.5, hanging.cancel).start()
    try:
        hanging.result()
        raise AssertionError("it was cancelled")
    except grpc.FutureCancelledError:
        pass
    print("all four kinds", flush=True)


if sys.argv[1] == "serve":
    serve(sys.argv[2:])
else:
    ask(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
