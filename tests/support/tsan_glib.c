/* SPDX-License-Identifier: MIT
 * What ThreadSanitizer cannot see in Debian's GLib and GStreamer, told to it: their mutexes are
 * futexes and their reference counts atomics in code without instrumentation, so that each
 * hand-over of a buffer to another thread would look like a race. Linked into the tests of such
 * builds, these stand before the libraries' own functions, call them, and say what they order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glib.h>
#include <gst/gst.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* The next definition of the function after this file's. */
#define NEXT(name)                                                                             \
    static __typeof__(&name) next;                                                             \
    __typeof__(next) call = __atomic_load_n(&next, __ATOMIC_RELAXED);                          \
    if (call == NULL) {                                                                        \
        *(void **)(&call) = dlsym(RTLD_NEXT, #name);                                           \
        __atomic_store_n(&next, call, __ATOMIC_RELAXED);                                       \
    }

#define LOCK(name, type)                                                                       \
    void name(type *lock) {                                                                    \
        NEXT(name)                                                                             \
        call(lock);                                                                            \
        __tsan_acquire(lock);                                                                  \
    }
#define TRY_LOCK(name, type)                                                                   \
    gboolean name(type *lock) {                                                                \
        NEXT(name)                                                                             \
        const gboolean taken = call(lock);                                                     \
        if (taken)                                                                             \
            __tsan_acquire(lock);                                                              \
        return taken;                                                                          \
    }
#define UNLOCK(name, type)                                                                     \
    void name(type *lock) {                                                                    \
        NEXT(name)                                                                             \
        __tsan_release(lock);                                                                  \
        call(lock);                                                                            \
    }

LOCK(g_mutex_lock, GMutex)
TRY_LOCK(g_mutex_trylock, GMutex)
UNLOCK(g_mutex_unlock, GMutex)
LOCK(g_rec_mutex_lock, GRecMutex)
TRY_LOCK(g_rec_mutex_trylock, GRecMutex)
UNLOCK(g_rec_mutex_unlock, GRecMutex)

void g_cond_wait(GCond *cond, GMutex *mutex) {
    NEXT(g_cond_wait)
    __tsan_release(mutex);
    call(cond, mutex);
    __tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time) {
    NEXT(g_cond_wait_until)
    __tsan_release(mutex);
    const gboolean signalled = call(cond, mutex, end_time);
    __tsan_acquire(mutex);
    return signalled;
}

/* Whoever drops the last reference frees, after all that the others did. */
void gst_mini_object_unref(GstMiniObject *object) {
    NEXT(gst_mini_object_unref)
    __tsan_release(object);
    __tsan_acquire(object);
    call(object);
}

void g_object_unref(gpointer object) {
    NEXT(g_object_unref)
    __tsan_release(object);
    __tsan_acquire(object);
    call(object);
}

/* GLib calls its own locks directly: GstHarness hands buffers over in these. */
void g_async_queue_push(GAsyncQueue *queue, gpointer data) {
    NEXT(g_async_queue_push)
    __tsan_release(data);
    call(queue, data);
}

#define TAKEN(item)                                                                            \
    if (item != NULL)                                                                          \
        __tsan_acquire(item);                                                                  \
    return item;

gpointer g_async_queue_pop(GAsyncQueue *queue) {
    NEXT(g_async_queue_pop)
    const gpointer item = call(queue);
    TAKEN(item)
}

gpointer g_async_queue_try_pop(GAsyncQueue *queue) {
    NEXT(g_async_queue_try_pop)
    const gpointer item = call(queue);
    TAKEN(item)
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout_us) {
    NEXT(g_async_queue_timeout_pop)
    const gpointer item = call(queue, timeout_us);
    TAKEN(item)
}
