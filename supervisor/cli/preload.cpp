// SPDX-License-Identifier: MIT
#include "cli/preload.hpp"

#include "cli/own_failure.hpp"
#include "numbers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace clone2::cli
{

namespace
{

constexpr const char *own_path = "/proc/self/exe";
constexpr const char *library_name = "libclone2.so.1";

/// From the command's directory: in the build directory, and installed.
constexpr std::array<const char *, 2> places{"../shim", CLONE2_LIBDIR};
/// From the prefix: where the library for programs of another width is installed, if it is. The
/// dynamic linkers of both find their own as "$LIB".
constexpr const char *other_libdir = CLONE2_OTHER_LIBDIR;

/// PROGRAM runs the library's code, so nobody may have put it there who could not have put the
/// command there.
bool is_as_trusted(const std::string &library, const struct stat &command)
{
    struct stat found {
    };
    return ::stat(library.c_str(), &found) == 0 && S_ISREG(found.st_mode) &&
           (found.st_uid == 0 || found.st_uid == command.st_uid);
}

bool library_serves(const TrappedCall &call)
{
    return call.arch == standard_call.arch && call.abi == standard_call.abi &&
           shim_number_is_taken(call.number) == 0;
}

/// The library at a place relative to the command's directory; nullopt: it is not there.
std::optional<std::string> find_library(const std::filesystem::path &place)
{
    std::error_code error;
    struct stat command {
    };
    const std::filesystem::path own = std::filesystem::read_symlink(own_path, error);
    if (error || ::stat(own_path, &command) != 0) {
        return std::nullopt;
    }
    const std::filesystem::path path = own.parent_path() / place / library_name;
    std::string library = path.lexically_normal().string();
    return is_as_trusted(library, command) ? std::optional(library) : std::nullopt;
}

/// Whether the programs of every architecture make the library's call by the standard number.
bool is_for_all_programs(const TrappedCall &served, const CallTable &trapped)
{
    const auto all = architectures();
    return is_standard(served) &&
           std::all_of(all.begin(), all.end(), [&](const Architecture *arch) {
               const TrappedCall *const call = trapped.find(arch->audit_arch(), served.number);
               return call != nullptr && is_standard(*call);
           });
}

/// The entry of LD_PRELOAD by which programs of both widths find their library; nullopt: the other
/// one is not installed.
std::optional<std::string> for_both_widths(const std::string &library)
{
    const std::string own_end = std::filesystem::path(CLONE2_LIBDIR).lexically_relative("..") /
                                std::filesystem::path(library_name);
    if (*other_libdir == 0 || !library.ends_with("/" + own_end) ||
        !find_library(std::filesystem::path("..") / other_libdir)) {
        return std::nullopt;
    }
    return library.substr(0, library.size() - own_end.size()) + "$LIB/" + library_name;
}

} // namespace

std::optional<std::string> find_preload_library()
{
    for (const char *const place : places) {
        if (auto library = find_library(place)) {
            return library;
        }
    }
    return std::nullopt;
}

std::optional<Preload> prepare_preload(const CallTable &trapped)
{
    const auto calls = trapped.calls();
    if (calls.empty()) {
        return std::nullopt; // left to the kernel
    }
    const auto served = std::find_if(calls.begin(), calls.end(), library_serves);
    if (served == calls.end()) {
        fail("--preload: " + std::string(library_name) + " serves no call of --nr " +
             trapped.text());
    }
    const std::optional<std::string> library = find_preload_library();
    if (!library) {
        fail("--preload: no " + std::string(library_name) +
             " was installed with this command, by root or its owner");
    }
    // The dynamic linker would split the path, or replace a part of it.
    if (library->find_first_of(" :$") != std::string::npos) {
        fail("--preload: a path in LD_PRELOAD can't contain blanks, ':' or '$': " + *library);
    }
    const auto both = is_for_all_programs(*served, trapped) ? for_both_widths(*library)
                                                            : std::optional<std::string>();
    return Preload{both.value_or(*library), served->number};
}

bool set_preload(const Preload &preload)
{
    const char *const others = std::getenv("LD_PRELOAD");
    const std::string all =
        preload.library + (others != nullptr && *others != 0 ? ":" + std::string(others) : "");
    const bool by_default =
        preload.number == standard_call.number && std::getenv("CLONE2_NR") == nullptr;
    return ::setenv("LD_PRELOAD", all.c_str(), 1) == 0 &&
           (by_default || ::setenv("CLONE2_NR", std::to_string(preload.number).c_str(), 1) == 0);
}

} // namespace clone2::cli
