// SPDX-License-Identifier: MIT
// Where the galleries of the store suites are: a file, a server, memory.
#pragma once

#include "core/gallery/people_admin.h"
#include "tests/conformance/fakes.h"
#include "tests/conformance/postgres_server.h"
#ifdef SPHERE_TEST_LIBPQ
#include "tests/conformance/pglite_server.h"
#endif
#include "tests/support/gallery_testing.h"

#include <memory>
#include <string>
#include <vector>

namespace sphere::testing {

/// One gallery that can be opened several times.
class Place {
  public:
    virtual ~Place() = default;
    /// Why it cannot be had on this machine, or empty.
    virtual std::string unavailable() { return {}; }
    virtual std::unique_ptr<Store> open() = 0;
    virtual std::unique_ptr<PeopleAdmin> open_admin() { return nullptr; }
};

/// By location.
class LocatedPlace : public Place {
  public:
    std::unique_ptr<Store> open() override {
        auto store = open_store(location(), OpenMode::CreateIfMissing);
        EXPECT_TRUE(store.ok()) << store.error().message;
        return store ? std::move(*store) : nullptr;
    }
    std::unique_ptr<PeopleAdmin> open_admin() override {
        auto admin = open_people_admin(location());
        EXPECT_TRUE(admin.ok()) << admin.error().message;
        return admin ? std::move(*admin) : nullptr;
    }

  private:
    virtual std::string location() = 0;
};

class SqlitePlace final : public LocatedPlace {
    std::string location() override { return "sqlite:" + (dir_ / "g.gallery"); }
    TempDir dir_;
};

class PostgresPlace final : public LocatedPlace {
  public:
    std::string unavailable() override {
        const auto store = open_store("postgresql://127.0.0.1:1/x", OpenMode::Existing);
        return !store && store.error().code == Errc::Unsupported
                   ? store.error().message
                   : PostgresServer::get().unavailable();
    }

  private:
    std::string location() override {
        if (location_.empty())
            location_ = PostgresServer::get().new_database();
        return location_;
    }
    std::string location_;
};

#ifdef SPHERE_TEST_LIBPQ
/// With the columns that pgvector searches.
class PgvectorPlace final : public LocatedPlace {
  public:
    std::string unavailable() override { return PgliteServer::get().unavailable(); }

  private:
    std::string location() override {
        if (location_.empty()) {
            location_ = PgliteServer::get().new_database();
            EXPECT_TRUE(open_store(location_, OpenMode::CreateIfMissing).ok());
            PgliteServer::get().sql(
                "ALTER TABLE sphere_embeddings ADD COLUMN near_cosine halfvec, ADD COLUMN "
                "near_euclidean vector; UPDATE sphere_gallery SET format = 2");
        }
        return location_;
    }
    std::string location_;
};

#endif

class FakePlace final : public Place {
  public:
    std::unique_ptr<Store> open() override { return std::make_unique<FakeStore>(gallery_); }

  private:
    std::shared_ptr<FakeGallery> gallery_ = std::make_shared<FakeGallery>();
};

struct PlaceCase {
    const char *name;
    std::unique_ptr<Place> (*make)();
};

inline std::vector<PlaceCase> admin_places() {
    return {
        {"sqlite", [] { return std::unique_ptr<Place>(new SqlitePlace); }},
        {"postgres", [] { return std::unique_ptr<Place>(new PostgresPlace); }},
#ifdef SPHERE_TEST_LIBPQ
        {"pgvector", [] { return std::unique_ptr<Place>(new PgvectorPlace); }},
#endif
    };
}
inline std::vector<PlaceCase> store_places() {
    auto places = admin_places();
    places.push_back({"fake", [] { return std::unique_ptr<Place>(new FakePlace); }});
    return places;
}

} // namespace sphere::testing
