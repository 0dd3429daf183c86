// SPDX-License-Identifier: MIT
// Real first calls, behind real listeners.
#include "call_bench.hpp"
#include "image/code_place.hpp"
#include "image/identity.hpp"
#include "real_call.hpp"
#include "target/memory.hpp"

#include <fcntl.h>
#include <sys/wait.h>

#include <cstdint>
#include <optional>

using namespace clone2;
using namespace clone2::test;

namespace
{

/// Receives and serves the next notification. False: the target is gone.
bool serve_next(Bench &bench, Listener &listener)
{
    const auto notification = listener.receive();
    if (notification) {
        serve(bench, listener, *notification);
    }
    return notification.has_value();
}

} // namespace

TEST_CASE("CallHandler: who writes the code again leaves the area's address there")
{
    Sockets sockets = make_sockets();
    Grandchild target = target_under_filter(sockets, by(nr), [&] {
        CloneStruct args = args_of(sigchld, 0);
        return make_and_reap(args, 1) && make_and_reap(args, 2) ? 0 : 1;
    });
    Listener listener = take_listener(sockets);
    Bench bench;
    REQUIRE(serve_next(bench, listener)); // the first call
    if (may_not_trace(bench.records.all())) {
        return;
    }
    REQUIRE(serve_next(bench, listener)); // boot report
    REQUIRE(serve_next(bench, listener)); // report of success
    const auto call = listener.receive();
    REQUIRE(call.has_value());

    const Architecture &arch = native_architecture();
    const Result<CodePlace> place =
        find_code_place(*procfs(), target.pid(), arch, make_signature(*procfs(), arch));
    REQUIRE(place.has_value());
    CodeHeader booted;
    REQUIRE(read_exactly(target.pid(), place->code, bytes_of(booted)).has_value());
    CHECK(booted.area != 0);
    // As the code is for a thread that has looked for it before another one wrote it.
    const Result<Fd> memory = procfs()->open(target.pid(), "mem", O_WRONLY);
    const std::uint64_t not_yet = 0;
    if (!memory || !write_file(*memory, target.pid(), place->code, const_bytes_of(not_yet))) {
        left_out("code that is written again", "the kernel does not let us change it");
        return;
    }
    serve(bench, listener, *call);
    const auto report = listener.receive();
    REQUIRE(report.has_value());
    CodeHeader again;
    REQUIRE(read_exactly(target.pid(), place->code, bytes_of(again)).has_value());
    CHECK(again.signature == booted.signature);
    CHECK(again.area == booted.area);
    serve(bench, listener, *report);
    while (serve_next(bench, listener)) {
    }
    CHECK(WEXITSTATUS(target.status()) == 0);
}
