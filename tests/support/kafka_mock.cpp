// SPDX-License-Identifier: MIT
// librdkafka's mock cluster as a process of its own. usage: kafka_mock TOPIC FILE
// Prints the broker's address, appends "KEY VALUE" of each record to FILE, and obeys lines of
// its standard input: "down" and "up". Ends with its standard input.
#include <array>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <string>
#include <unistd.h>

namespace {

rd_kafka_t *consumer_of(const char *bootstraps, const char *topic) {
    std::array<char, 256> why{};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (const auto &[name, value] :
         {std::pair<const char *, const char *>{"bootstrap.servers", bootstraps},
          {"group.id", "test"},
          {"auto.offset.reset", "earliest"},
          {"reconnect.backoff.max.ms", "500"}})
        rd_kafka_conf_set(conf, name, value, why.data(), why.size());
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why.data(), why.size());
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, 0);
    rd_kafka_topic_partition_list_set_offset(topics, topic, 0, RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_assign(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return consumer;
}

void note(rd_kafka_message_t *message, int file) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        std::string line(static_cast<const char *>(message->key), message->key_len);
        line += ' ';
        line.append(static_cast<const char *>(message->payload), message->len);
        line += '\n';
        if (write(file, line.data(), line.size()) < 0)
            std::perror("write");
    }
    rd_kafka_message_destroy(message);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const int file = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
    std::array<char, 256> text{};
    rd_kafka_t *host =
        rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text.data(), text.size());
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(host, 1);
    rd_kafka_mock_topic_create(cluster, argv[1], 1, 1);
    std::printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    std::fflush(stdout);
    rd_kafka_t *consumer = consumer_of(rd_kafka_mock_cluster_bootstraps(cluster), argv[1]);
    for (;;) {
        if (rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 20))
            note(message, file);
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (poll(&input, 1, 0) <= 0)
            continue;
        const ssize_t size = read(STDIN_FILENO, text.data(), text.size() - 1);
        if (size <= 0)
            break;
        text[static_cast<std::size_t>(size)] = '\0';
        if (std::strncmp(text.data(), "down", 4) == 0)
            rd_kafka_mock_broker_set_down(cluster, 1);
        else if (std::strncmp(text.data(), "up", 2) == 0)
            rd_kafka_mock_broker_set_up(cluster, 1);
    }
    rd_kafka_destroy(consumer);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
    return 0;
}
