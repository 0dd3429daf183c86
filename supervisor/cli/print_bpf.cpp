// SPDX-License-Identifier: MIT
#include "cli/print_bpf.hpp"

#include "cli/own_failure.hpp"
#include "filter/announcements.hpp"
#include "filter/filter.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace clone2::cli
{

namespace
{

std::string base64(std::span<const std::byte> bytes)
{
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t here = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            bits = bits << 8 | (i < here ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            text += i <= here ? digits[bits >> (18 - 6 * i) & 63] : '=';
        }
    }
    return text;
}

} // namespace

int print_bpf(const PrintBpf &what)
{
    if (!what.base64 && ::isatty(STDOUT_FILENO) != 0) {
        fail("--print-bpf: the filter is binary, and stdout a terminal (--print-bpf=base64)");
    }
    const std::vector<sock_filter> filter = build_filter(what.calls, announcements());
    const std::span<const std::byte> bytes = std::as_bytes(std::span(filter));
    if (what.base64) {
        std::puts(base64(bytes).c_str());
    } else {
        std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    }
    if (std::fflush(stdout) != 0) {
        fail(std::string("--print-bpf: stdout: ") + std::strerror(errno));
    }
    return 0;
}

} // namespace clone2::cli
