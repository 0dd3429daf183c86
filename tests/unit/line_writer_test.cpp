// SPDX-License-Identifier: MIT
#include "base/line_writer.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace clone2;
using namespace clone2::test;

namespace
{

LineWriter::Options options(std::size_t max_waiting = 1 << 20)
{
    LineWriter::Options options;
    options.dropped_line = [](std::uint64_t dropped) {
        return std::to_string(dropped) + " dropped\n";
    };
    options.max_waiting = max_waiting;
    return options;
}

/// Fills a pipe completely.
std::size_t fill(const Fd &write)
{
    const int flags = fcntl(write.get(), F_GETFL);
    fcntl(write.get(), F_SETFL, flags | O_NONBLOCK);
    const std::string block(4096, 'x');
    std::size_t size = 0;
    for (ssize_t n = 0; (n = ::write(write.get(), block.data(), block.size())) > 0;) {
        size += static_cast<std::size_t>(n);
    }
    fcntl(write.get(), F_SETFL, flags);
    return size;
}

std::string read_bytes(const Fd &from, std::size_t size)
{
    std::string text(size, '\0');
    for (std::size_t at = 0; at < size;) {
        const ssize_t n = read(from.get(), text.data() + at, size - at);
        if (n <= 0) {
            text.resize(at);
            break;
        }
        at += static_cast<std::size_t>(n);
    }
    return text;
}

std::string read_lines(const Fd &from, std::size_t count)
{
    std::string text;
    for (std::size_t lines = 0; lines < count;) {
        const std::string byte = read_bytes(from, 1);
        if (byte.empty()) {
            break;
        }
        text += byte;
        lines += byte == "\n" ? 1 : 0;
    }
    return text;
}

/// Two ends of a unix stream socket.
Sockets make_stream()
{
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    return {Fd{ends[0]}, Fd{ends[1]}};
}

/// How many bytes wait to be read.
int bytes_in(const Fd &read)
{
    int bytes = -1;
    REQUIRE(ioctl(read.get(), FIONREAD, &bytes) == 0);
    return bytes;
}

/// Another writer of a file. It waits in a fault on the page that it writes from until release(),
/// with whatever locks the kernel holds then.
class HeldWriter
{
public:
    static constexpr std::size_t size = 64;

    explicit HeldWriter(const Fd &file) : fault_(static_cast<int>(syscall(SYS_userfaultfd, 0)))
    {
        uffdio_api api{};
        api.api = UFFD_API;
        if (!fault_ || ioctl(fault_.get(), UFFDIO_API, &api) != 0) {
            return;
        }
        std::byte *const page = pages_.at(Pages::page_size());
        REQUIRE(madvise(page, Pages::page_size(), MADV_DONTNEED) == 0);
        range_ = {reinterpret_cast<std::uintptr_t>(page), Pages::page_size()};
        uffdio_register area{};
        area.range = range_;
        area.mode = UFFDIO_REGISTER_MODE_MISSING;
        REQUIRE(ioctl(fault_.get(), UFFDIO_REGISTER, &area) == 0);
        writer_ = std::thread([page, fd = file.get()] { (void)!::write(fd, page, size); });
        uffd_msg message{};
        REQUIRE(read(fault_.get(), &message, sizeof message) == sizeof message);
        REQUIRE(message.event == UFFD_EVENT_PAGEFAULT);
    }
    HeldWriter(const HeldWriter &) = delete;
    HeldWriter &operator=(const HeldWriter &) = delete;
    ~HeldWriter() { release(); }

    /// Whether it waits in the write. False: userfaultfd(2) is not allowed here.
    [[nodiscard]] bool holds() const { return writer_.joinable(); }
    void release()
    {
        if (holds()) {
            uffdio_zeropage zero{};
            zero.range = range_;
            ioctl(fault_.get(), UFFDIO_ZEROPAGE, &zero);
            writer_.join();
        }
    }

private:
    Pages pages_;
    Fd fault_;
    uffdio_range range_{};
    std::thread writer_;
};

} // namespace

TEST_CASE("LineWriter: normally a line is in the file when write() returns")
{
    char name[] = "/tmp/clone2-unit.XXXXXX";
    const Fd file{mkstemp(name)};
    REQUIRE(file);
    unlink(name);
    LineWriter writer(Fd{dup(file.get())}, options());
    for (off_t lines = 1; lines <= 100; ++lines) {
        writer.write("line\n");
        writer.flush(); // in case the machine is very busy
        struct stat status {
        };
        REQUIRE(fstat(file.get(), &status) == 0);
        CHECK(status.st_size == 5 * lines);
    }
}

TEST_CASE("LineWriter: a pipe without a reader blocks no caller, and dropped lines are counted")
{
    Pipe pipe = make_pipe();
    const std::size_t filled = fill(pipe.write);
    std::string lines;
    {
        LineWriter writer(std::move(pipe.write), options(50));
        for (int i = 0; i < 100; ++i) {
            writer.write("line " + std::to_string(100 + i) + "\n"); // 9 bytes: five fit
        }
        std::promise<void> written;
        writer.then([&] { written.set_value(); });
        CHECK(read_bytes(pipe.read, filled) == std::string(filled, 'x'));
        written.get_future().wait();
        writer.write("later\n");
    }
    lines = read_lines(pipe.read, 7);
    CHECK(lines == "line 100\nline 101\nline 102\nline 103\nline 104\n95 dropped\nlater\n");
}

TEST_CASE("LineWriter: no user has another's lines dropped")
{
    Pipe pipe = make_pipe();
    const std::size_t filled = fill(pipe.write);
    {
        LineWriter writer(std::move(pipe.write), options(90));
        for (int i = 0; i < 100; ++i) {
            writer.write("one  " + std::to_string(100 + i) + "\n", 1001); // 9 bytes: five are half
        }
        for (int i = 0; i < 100; ++i) {
            writer.write("two  " + std::to_string(100 + i) + "\n", 1002);
        }
        writer.write("nobody's\n");
        CHECK(read_bytes(pipe.read, filled) == std::string(filled, 'x'));
    }
    CHECK(read_lines(pipe.read, 10) == "one  100\none  101\none  102\none  103\none  104\n"
                                       "95 dropped\ntwo  100\n99 dropped\nnobody's\n");
}

TEST_CASE("LineWriter: a socket with room has the line when write() returns")
{
    const Sockets sockets = make_stream();
    LineWriter writer(Fd{dup(sockets.ours.get())}, options());
    for (int lines = 1; lines <= 100; ++lines) {
        writer.write("line\n");
        writer.flush(); // in case the machine is very busy, or older than Linux 6.4
        CHECK(bytes_in(sockets.theirs) == 5 * lines);
    }
}

TEST_CASE("LineWriter: a socket with room for a part of a line gets the rest later")
{
    Sockets sockets = make_stream();
    const std::string line = std::string(900000, 'l') + "\n";
    LineWriter writer(std::move(sockets.ours), options());
    writer.write(line);
    CHECK(bytes_in(sockets.theirs) < static_cast<int>(line.size()));
    writer.write("next\n");
    CHECK(read_bytes(sockets.theirs, line.size() + 5) == line + "next\n");
}

TEST_CASE("LineWriter: a writer of the same pipe that waits in a page fault holds up no caller")
{
    const Pipe pipe = make_pipe();
    LineWriter writer(Fd{dup(pipe.write.get())}, options());
    HeldWriter held(pipe.write);
    if (!held.holds()) {
        MESSAGE("without privilege for userfaultfd(2) nothing holds the pipe");
        return;
    }
    std::promise<void> written;
    std::thread caller([&] {
        writer.write("one\n");
        writer.write("two\n");
        writer.flush(); // as at the end
        written.set_value();
    });
    CHECK(written.get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    held.release();
    caller.join();
    CHECK(read_bytes(pipe.read, HeldWriter::size + 8) ==
          std::string(HeldWriter::size, '\0') + "one\ntwo\n");
}

TEST_CASE("LineWriter: a line that could not be written at all leaves no trace")
{
    const Fd file{open("/dev/full", O_WRONLY | O_CLOEXEC)};
    const Pipe pipe = make_pipe();
    LineWriter writer(file.get(), options());
    writer.write("lost\n");
    writer.flush();
    REQUIRE(dup2(pipe.write.get(), file.get()) == file.get());
    writer.write("next\n");
    CHECK(read_bytes(pipe.read, 5) == "next\n");
}

TEST_CASE("LineWriter: a non-blocking pipe gets all lines once there is room")
{
    Pipe pipe = make_pipe();
    const std::size_t filled = fill(pipe.write);
    fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK);
    const std::size_t room = 8192;
    const std::string line = std::string(4 * room, 'l') + "\n";
    {
        LineWriter writer(std::move(pipe.write), options());
        writer.write("short\n");
        writer.write(line);
        CHECK(read_bytes(pipe.read, room).size() == room); // enough for a part of the line
        CHECK(read_bytes(pipe.read, filled - room).size() == filled - room);
    }
    CHECK(read_bytes(pipe.read, line.size() + 6) == "short\n" + line);
}

TEST_CASE("LineWriter: destruction does not wait forever")
{
    Pipe pipe = make_pipe();
    fill(pipe.write);
    auto writer = std::make_unique<LineWriter>(std::move(pipe.write), options());
    writer->write("line\n");
    writer.reset();
    CHECK(true); // it has returned
}

TEST_CASE("LineWriter: whole lines from many threads and a second writer on the same file")
{
    Pipe pipe = make_pipe();
    LineWriter one(Fd{dup(pipe.write.get())}, options());
    LineWriter other(std::move(pipe.write), options());
    std::vector<std::thread> threads;
    constexpr int each = 100;
    for (int worker = 0; worker < 4; ++worker) {
        threads.emplace_back([&, worker] {
            for (int i = 0; i < each; ++i) {
                (worker % 2 == 0 ? one : other)
                    .write(std::to_string(10000 + worker * each + i) + std::string(200, '.') +
                           "\n");
            }
        });
    }
    const std::string seen = read_lines(pipe.read, std::size_t{4} * each);
    for (std::thread &thread : threads) {
        thread.join();
    }
    std::vector<std::string> numbers;
    for (std::size_t at = 0; at < seen.size(); at += 206) {
        CHECK(seen.substr(at + 5, 201) == std::string(200, '.') + "\n");
        numbers.push_back(seen.substr(at, 5));
    }
    std::sort(numbers.begin(), numbers.end());
    CHECK(numbers.size() == std::size_t{4} * each);
    CHECK(std::unique(numbers.begin(), numbers.end()) == numbers.end());
}

TEST_CASE("LineWriter: a failure is reported once for each file")
{
    signal(SIGPIPE, SIG_IGN);
    Pipe pipe = make_pipe();
    pipe.read.reset();
    std::atomic<int> told{0};
    std::atomic<int> err{0};
    LineWriter::Options asked = options();
    asked.failed = [&](int number) {
        ++told;
        err = number;
    };
    LineWriter writer(std::move(pipe.write), asked);
    writer.write("line\n");
    writer.write("line\n");
    writer.flush();
    CHECK(told == 1);
    CHECK(err == EPIPE);
    writer.reopen([] { return Fd{open("/dev/full", O_WRONLY | O_CLOEXEC)}; }, [](int) {});
    writer.write("line\n");
    writer.write("line\n");
    writer.flush();
    CHECK(told == 2);
    CHECK(err == ENOSPC);
    signal(SIGPIPE, SIG_DFL);
}

TEST_CASE("LineWriter: lines after reopen() go to the new file, if there is one")
{
    Pipe first = make_pipe();
    Pipe second = make_pipe();
    {
        LineWriter writer(std::move(first.write), options());
        writer.write("one\n");
        int err = 0;
        writer.reopen([] { return Fd{open("/nowhere/log", O_WRONLY | O_CLOEXEC)}; },
                      [&](int why) { err = why; });
        writer.write("two\n");
        writer.flush();
        CHECK(err == ENOENT);
        writer.reopen([&] { return std::move(second.write); }, [](int) {});
        writer.write("three\n");
    }
    CHECK(read_bytes(first.read, 100) == "one\ntwo\n");
    CHECK(read_bytes(second.read, 100) == "three\n");
}

TEST_CASE("LineWriter: an open that fails after the writer's end is not reported")
{
    const Pipe file = make_pipe();
    Pipe gate = make_pipe();
    bool told = false;
    auto used = std::make_shared<int>();
    const std::weak_ptr<int> in_use = used;
    {
        LineWriter writer(file.write.get(), options());
        writer.reopen(
            [used = std::move(used), fd = gate.read.get()] {
                char byte = 0;
                (void)read(fd, &byte, 1);
                return Fd{};
            },
            [&](int) { told = true; });
    }
    CHECK(!in_use.expired()); // it hangs there
    gate.write = Fd{};
    while (!in_use.expired()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(!told);
}
