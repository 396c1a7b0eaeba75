// SPDX-License-Identifier: MIT
// libFuzzer: any bytes as a gallery file. Opening, reading and writing must end in a value or
// an Error, and what is loaded must be what its stamp says.
#include "core/base/log.h"
#include "core/gallery/people_admin.h"
#include "core/gallery/store.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

/// A folder of this process, in memory where the system has such a place.
struct WorkDir {
    std::string path;
    WorkDir() {
        std::error_code error;
        path = std::filesystem::is_directory("/dev/shm", error) ? "/dev/shm/fuzz-gallery-XXXXXX"
                                                                : "fuzz-gallery-XXXXXX";
        if (!mkdtemp(path.data()))
            std::abort();
    }
    WorkDir(const WorkDir &) = delete;
    WorkDir &operator=(const WorkDir &) = delete;
    ~WorkDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
};

void require(bool condition) {
    if (!condition)
        std::abort();
}

void use(sphere::Store &store) {
    (void)store.version();
    (void)store.list_people();
    const auto snapshot = store.load();
    if (!snapshot) {
        require(!snapshot.error().message.empty());
        return;
    }
    require(snapshot->faces.empty() || snapshot->stamp.has_value());
    for (const sphere::EnrolledFace &face : snapshot->faces) {
        require(!face.person_id.empty());
        require(face.embedding.size() == static_cast<std::size_t>(snapshot->stamp->dims));
        for (const float value : face.embedding)
            require(std::isfinite(value));
    }
    sphere::EmbeddingStamp stamp{"fuzz", "0", "p", "t", "none", 4};
    if (snapshot->stamp)
        stamp = *snapshot->stamp;
    sphere::Enrolment face;
    face.person_id = "fuzz";
    face.embedding.assign(static_cast<std::size_t>(stamp.dims), 1);
    (void)store.enrol(stamp, {face});
    (void)store.remove_person("fuzz");
    if (!snapshot->faces.empty())
        (void)store.remove_person(snapshot->faces.front().person_id);
}

void look_after(sphere::PeopleAdmin &admin) {
    (void)admin.notes(10);
    (void)admin.load(sphere::FaceKind::Quarantined);
    (void)admin.load(sphere::FaceKind::Strangers);
    const auto faces = admin.list_faces("");
    if (!faces || faces->empty())
        return;
    (void)admin.thumbnail(faces->front().face_id);
    (void)admin.apply({sphere::QuarantineFaces{{faces->front().face_id}, true},
                       sphere::RenamePerson{faces->front().person_id, "fuzz two"},
                       sphere::ExpireStrangers{1, 1}});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size > (1 << 20))
        return 0;
    sphere::set_log_sink({});
    static const WorkDir dir;
    const std::string path = dir.path + "/g";
    for (const char *suffix : {"-wal", "-shm", "-journal"})
        std::remove((path + suffix).c_str());
    std::FILE *file = std::fopen(path.c_str(), "wb");
    require(file != nullptr);
    require(std::fwrite(data, 1, size, file) == size);
    std::fclose(file);
    if (auto admin = sphere::open_people_admin(path))
        look_after(**admin);
    if (auto store = sphere::open_store(path, sphere::OpenMode::Existing))
        use(**store);
    return 0;
}
