// SPDX-License-Identifier: MIT
// libpq behind a narrow door.
#include "core/gallery/postgres_db.h"

#include "core/gallery/postgres_store.h"

#include <libpq-fe.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>
#include <utility>

namespace sphere {
namespace {

constexpr int kMaxBackOffSeconds = 30;

struct Clear {
    void operator()(PGresult *result) const { PQclear(result); }
};
using ResultPointer = std::unique_ptr<PGresult, Clear>;

/// Big-endian, as PostgreSQL sends.
std::uint64_t big_endian(const char *bytes, int size) {
    std::uint64_t value = 0;
    for (int i = 0; i < size; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

/// One line of what libpq says.
std::string first_line(const char *message) {
    std::string text = message ? message : "";
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
        text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

struct StateRow {
    std::string_view prefix; ///< of SQLSTATE (PostgreSQL, appendix A)
    Errc code;
    const char *remedy;
};
constexpr StateRow kStates[] = {
    {"28", Errc::Permission, ": check the user and ~/.pgpass, PGPASSWORD or the service file"},
    {"3D000", Errc::NotFound, ": make the database with createdb"},
    {"42P01", Errc::NotFound,
     ": there is no gallery in this database yet; make it with: spherectl enrol"},
    {"42501", Errc::Permission, ": the user needs rights on the tables sphere_*"},
    {"25006", Errc::Permission, ": this server is read-only (a replica): write to the primary"},
    {"53100", Errc::NoSpace, ": the server's disk is full; nothing was changed"},
    {"55P03", Errc::Busy, ": another writer took too long: try again"},
    {"57014", Errc::Busy, ": it took too long: try again"},
    {"40", Errc::Busy, ": another writer was in the way: try again"},
    {"57P", Errc::Io, ": the server is shutting down"},
    {"08", Errc::Io, ""},
    {"23", Errc::Corrupt, ": it was changed by something else than gst-sphere"},
    {"22021", Errc::InvalidArgument, ""},
    {"42", Errc::Corrupt, ": its tables are not those of this gst-sphere"},
};

} // namespace

PgValue::PgValue(const std::optional<float> &value) : null_(!value.has_value()) {
    if (!value)
        return;
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.9g", static_cast<double>(*value));
    text_ = std::isnan(*value) ? "NaN" : buffer;
}

bool PgRow::is_null(int column) const {
    return PQgetisnull(result_, 0, column) != 0;
}
std::int64_t PgRow::integer(int column) const {
    const int size = PQgetlength(result_, 0, column);
    const std::uint64_t value = big_endian(PQgetvalue(result_, 0, column), std::min(size, 8));
    if (size == 4)
        return static_cast<std::int32_t>(value);
    return size == 2 ? static_cast<std::int16_t>(value) : static_cast<std::int64_t>(value);
}
float PgRow::real(int column) const {
    if (PQgetlength(result_, 0, column) != 4)
        return std::nanf("");
    return std::bit_cast<float>(
        static_cast<std::uint32_t>(big_endian(PQgetvalue(result_, 0, column), 4)));
}
std::string PgRow::text(int column) const {
    return {PQgetvalue(result_, 0, column),
            static_cast<std::size_t>(PQgetlength(result_, 0, column))};
}
std::span<const std::uint8_t> PgRow::bytes(int column) const {
    return {reinterpret_cast<const std::uint8_t *>(PQgetvalue(result_, 0, column)),
            static_cast<std::size_t>(PQgetlength(result_, 0, column))};
}

PgDb::PgDb(const std::string &location)
    : location_(location), name_(shown_location(location)) {}

PgDb::~PgDb() {
    drop();
}

void PgDb::drop() {
    PQfinish(connection_);
    connection_ = nullptr;
}

Result<void> PgDb::connect() {
    if (connection_ && PQstatus(connection_) == CONNECTION_OK)
        return {};
    const auto now = std::chrono::steady_clock::now();
    if (last_failure_ && now < next_attempt_)
        return *last_failure_;
    drop();
    // Before the location, which may say otherwise.
    const char *keys[] = {
        "connect_timeout",     "tcp_user_timeout",
        "keepalives_idle", // a host that died says nothing by itself
        "keepalives_interval", "keepalives_count", "fallback_application_name",
        "client_encoding",     "dbname",           nullptr};
    const char *values[] = {"5",    "10000",           "10",   "5", "3", "gst-sphere",
                            "UTF8", location_.c_str(), nullptr};
    connection_ = PQconnectdbParams(keys, values, 1);
    if (connection_ && PQstatus(connection_) == CONNECTION_OK) {
        PQsetNoticeProcessor(
            connection_, [](void *, const char *) {}, nullptr);
        const ResultPointer set(PQexec(connection_, "SET lock_timeout = '5s'"));
        failures_ = 0;
        last_failure_.reset();
        fresh_ = true;
        return {};
    }
    const std::string why =
        connection_ ? first_line(PQerrorMessage(connection_)) : "out of memory";
    drop();
    const bool refused = why.find("authentication") != std::string::npos ||
                         why.find("password") != std::string::npos ||
                         why.find("role ") != std::string::npos;
    const bool missing = why.find("database") != std::string::npos &&
                         why.find("does not exist") != std::string::npos;
    next_attempt_ =
        now + std::chrono::seconds(std::min(kMaxBackOffSeconds, 1 << std::min(failures_, 5)));
    ++failures_;
    last_failure_ =
        fail(missing   ? Errc::NotFound
             : refused ? Errc::Permission
                       : Errc::Io,
             "gallery ", name_, ": ", why,
             missing   ? ": make the database with createdb"
             : refused ? ": check the user and ~/.pgpass, PGPASSWORD or the service file"
                       : ": is the server running, and reachable from here?");
    return *last_failure_;
}

Error PgDb::result_error(const pg_result *result) {
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
    const std::string why =
        first_line(state ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)
                         : PQerrorMessage(connection_));
    if (state)
        for (const StateRow &row : kStates)
            if (std::string_view(state).starts_with(row.prefix))
                return fail(row.code, "gallery ", name_, ": ", why, row.remedy);
    return fail(Errc::Io, "gallery ", name_, ": ",
                why.empty() ? "the connection was lost" : why);
}

Result<std::int64_t> PgDb::query(const char *sql, const PgValues &values, const TakeRow &take) {
    if (!connection_)
        return fail(Errc::Io, "gallery ", name_, ": not connected");
    std::vector<const char *> data;
    std::vector<int> sizes;
    std::vector<int> formats;
    for (const PgValue &value : values) {
        data.push_back(value.data());
        sizes.push_back(value.size());
        formats.push_back(value.is_binary() ? 1 : 0);
    }
    constexpr int kBinaryResults = 1;
    if (!PQsendQueryParams(connection_, sql, static_cast<int>(values.size()), nullptr,
                           data.data(), sizes.data(), formats.data(), kBinaryResults))
        return result_error(nullptr);
    // Row by row: a large gallery is not in memory twice.
    PQsetSingleRowMode(connection_);
    std::optional<Error> error;
    std::int64_t changed = 0;
    while (ResultPointer result{PQgetResult(connection_)}) {
        switch (PQresultStatus(result.get())) {
        case PGRES_SINGLE_TUPLE:
            if (take && !error)
                if (auto taken = take(PgRow(result.get())); !taken)
                    error = std::move(taken).error();
            break;
        case PGRES_TUPLES_OK:
        case PGRES_COMMAND_OK:
            changed = std::atoll(PQcmdTuples(result.get()));
            break;
        default:
            if (!error)
                error = result_error(result.get());
        }
    }
    if (error)
        return *error;
    if (PQstatus(connection_) != CONNECTION_OK)
        return result_error(nullptr);
    return changed;
}

Result<std::int64_t> PgDb::integer(const char *sql, const PgValues &values) {
    std::optional<std::int64_t> value;
    auto done = query(sql, values, [&](const PgRow &row) -> Result<void> {
        if (!value)
            value = row.is_null(0) ? 0 : row.integer(0);
        return {};
    });
    if (!done)
        return done;
    return value.value_or(0);
}

Result<void> PgDb::script(const std::string &sql) {
    if (!connection_)
        return fail(Errc::Io, "gallery ", name_, ": not connected");
    const ResultPointer result(PQexec(connection_, sql.c_str()));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        return result_error(result.get());
    return {};
}

int PgDb::socket() const {
    return PQsocket(connection_);
}

Result<bool> PgDb::take_messages() {
    if (!PQconsumeInput(connection_))
        return result_error(nullptr);
    bool told = false;
    while (PGnotify *message = PQnotifies(connection_)) {
        told = true;
        PQfreemem(message);
    }
    return told;
}

Result<bool> PgDb::is_direct() {
    const auto backend = integer("SELECT pg_backend_pid()");
    if (!backend)
        return backend.error();
    return *backend == PQbackendPID(connection_);
}

Result<PgTransaction> PgTransaction::begin(PgDb &db, const char *how) {
    SPHERE_TRY(db.script(how));
    return PgTransaction(db);
}

PgTransaction::~PgTransaction() {
    if (db_)
        (void)db_->script("ROLLBACK"); // a lost connection has rolled back
}

Result<void> PgTransaction::commit() {
    SPHERE_TRY(db_->script("COMMIT"));
    db_ = nullptr;
    return {};
}

} // namespace sphere
