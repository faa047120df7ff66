/* CycloneDDS in the failover bench: two publishers with exclusive ownership, of which the stronger one is heard, and a subscriber.
 *
 *   publisher DOMAIN LEASE_NS LEG BEGIN_NS RATE FACTOR PERIOD_NS LENGTH_NS     FACTOR 0: no bursts
 *   subscriber DOMAIN LEASE_NS LEDGER
 *
 * What is due when is that of twinfeed_exchange::pace; the ledger is that of failover/peers/ledger.rs. It runs until it is killed.
 */
#include <dds/dds.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "Message.h"

/* As in ledger.rs. */
enum { DELIVERED = 0, HEARD_0 = 8, HEARD_1 = 16, NEWEST_0 = 24, NEWEST_1 = 32, COPIES = 40, ENTRIES_AT = 48, ENTRIES = 1 << 21 };
/* Samples of one take. */
enum { TAKEN = 64 };

static void check(int32_t result, const char *what) {
  if (result < 0) {
    fprintf(stderr, "twinfeed-bench-dds: %s: %s\n", what, dds_strretcode(-result));
    exit(1);
  }
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void rest_us(long us) {
  struct timespec rest = {0, us * 1000};
  nanosleep(&rest, NULL);
}

static dds_qos_t *qos(uint64_t lease_ns) {
  dds_qos_t *qos = dds_create_qos();
  dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
  dds_qset_history(qos, DDS_HISTORY_KEEP_ALL, 0);
  dds_qset_ownership(qos, DDS_OWNERSHIP_EXCLUSIVE);
  dds_qset_liveliness(qos, DDS_LIVELINESS_AUTOMATIC, (dds_duration_t)lease_ns);
  return qos;
}

static dds_entity_t topic(dds_entity_t participant) {
  dds_entity_t topic =
      dds_create_topic(participant, &twinfeed_bench_Message_desc, "twinfeed_bench", NULL, NULL);
  check(topic, "a topic");
  return topic;
}

/* Messages that are due so long after the first. */
static uint64_t due(uint64_t elapsed, uint64_t rate, uint64_t factor, uint64_t period, uint64_t length) {
  uint64_t flat = elapsed;
  if (factor > 0) {
    uint64_t within = elapsed % period;
    flat = within * factor;
    if (within > length) {
      unsigned __int128 slow = (unsigned __int128)(within - length) * (period - factor * length);
      flat = factor * length + (uint64_t)(slow / (period - length));
    }
    flat += elapsed - within;
  }
  return (uint64_t)((unsigned __int128)flat * rate / 1000000000u) + 1;
}

static void publish(dds_entity_t participant, uint64_t lease_ns, char **args) {
  uint8_t leg = (uint8_t)atoi(args[0]);
  uint64_t begin = strtoull(args[1], NULL, 10), rate = strtoull(args[2], NULL, 10);
  uint64_t factor = strtoull(args[3], NULL, 10), period = strtoull(args[4], NULL, 10);
  uint64_t length = strtoull(args[5], NULL, 10);
  dds_qos_t *writing = qos(lease_ns);
  dds_qset_ownership_strength(writing, 2 - leg);
  dds_entity_t writer = dds_create_writer(participant, topic(participant), writing, NULL);
  check(writer, "a writer");
  dds_publication_matched_status_t matched = {0};
  while (matched.current_count == 0) {
    rest_us(1000);
    check(dds_get_publication_matched_status(writer, &matched), "a subscriber");
  }
  twinfeed_bench_Message message = {.leg = leg};
  uint64_t sent = due(now_ns() - begin, rate, factor, period, length);
  for (;;) {
    uint64_t until = due(now_ns() - begin, rate, factor, period, length);
    while (sent < until) {
      message.number = ++sent;
      dds_write(writer, &message);
    }
    dds_write_flush(writer);
    rest_us(100);
  }
}

static struct {
  pthread_mutex_t lock;
  _Atomic uint64_t *words;
  uint64_t delivered;
} ledger = {PTHREAD_MUTEX_INITIALIZER, NULL, 0};

/* Called in a thread of Cyclone's. */
static void on_data(dds_entity_t reader, void *unused) {
  (void)unused;
  static void *samples[TAKEN];
  static dds_sample_info_t infos[TAKEN];
  pthread_mutex_lock(&ledger.lock);
  int32_t count;
  while ((count = dds_take(reader, samples, infos, TAKEN, TAKEN)) > 0) {
    for (int32_t at = 0; at < count; at++) {
      if (!infos[at].valid_data) continue;
      const twinfeed_bench_Message *message = samples[at];
      uint64_t entry = ENTRIES_AT + ledger.delivered % ENTRIES * 2;
      atomic_store_explicit(&ledger.words[entry], now_ns(), memory_order_relaxed);
      atomic_store_explicit(&ledger.words[entry + 1], message->number << 1 | message->leg,
                            memory_order_relaxed);
      ledger.delivered++;
      /* Of whoever owns it: the other one's are not shown. */
      atomic_store_explicit(&ledger.words[NEWEST_0], message->number, memory_order_relaxed);
      atomic_store_explicit(&ledger.words[NEWEST_1], message->number, memory_order_relaxed);
      atomic_store_explicit(&ledger.words[COPIES], ledger.delivered, memory_order_relaxed);
      atomic_store_explicit(&ledger.words[DELIVERED], ledger.delivered, memory_order_release);
    }
    dds_return_loan(reader, samples, count);
  }
  pthread_mutex_unlock(&ledger.lock);
}

static int subscribe(dds_entity_t participant, uint64_t lease_ns, const char *path) {
  int file = open(path, O_RDWR);
  size_t bytes = (ENTRIES_AT + 2 * (size_t)ENTRIES) * 8;
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file < 0 || memory == MAP_FAILED) {
    perror(path);
    return 1;
  }
  ledger.words = memory;
  dds_listener_t *listener = dds_create_listener(NULL);
  dds_lset_data_available(listener, on_data);
  dds_entity_t reader = dds_create_reader(participant, topic(participant), qos(lease_ns), listener);
  check(reader, "a reader");
  /* The domain is the door. */
  puts("[]");
  fflush(stdout);
  for (;;) {
    /* Copies of the weaker one are dropped unseen: that both are there is what their liveliness says. */
    dds_liveliness_changed_status_t status;
    check(dds_get_liveliness_changed_status(reader, &status), "liveliness");
    if (status.alive_count == 2) {
      atomic_fetch_add(&ledger.words[HEARD_0], 1);
      atomic_fetch_add(&ledger.words[HEARD_1], 1);
    }
    rest_us(1000);
  }
}

int main(int count, char **args) {
  if (count < 5) return 2;
  dds_domainid_t domain = (dds_domainid_t)atoi(args[2]);
  uint64_t lease_ns = strtoull(args[3], NULL, 10);
  dds_write_set_batch(true);
  dds_entity_t participant = dds_create_participant(domain, NULL, NULL);
  check(participant, "a participant");
  if (!strcmp(args[1], "publisher") && count == 10) publish(participant, lease_ns, args + 4);
  if (!strcmp(args[1], "subscriber")) return subscribe(participant, lease_ns, args[4]);
  return 2;
}
