/* Intrusive doubly linked lists. One struct is both a list's head and an object's link; a link outside of any list
 * points at itself, so deleting twice is harmless. Everything but the walks is O(1). */
#ifndef WI_BASE_LIST_H
#define WI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct wi_list {
    struct wi_list *next;
    struct wi_list *prev;
};

static inline void wi_list_init(struct wi_list *l)
{
    l->next = l;
    l->prev = l;
}

/* Of a head: the list has no object. Of a link: it is in no list. */
static inline bool wi_list_empty(const struct wi_list *l)
{
    return l->next == l;
}

static inline void wi_list_insert_between(struct wi_list *node, struct wi_list *prev, struct wi_list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void wi_list_add_head(struct wi_list *head, struct wi_list *node)
{
    wi_list_insert_between(node, head, head->next);
}

static inline void wi_list_add_tail(struct wi_list *head, struct wi_list *node)
{
    wi_list_insert_between(node, head->prev, head);
}

/* Takes `node` out of its list, if it is in one. */
static inline void wi_list_del(struct wi_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    wi_list_init(node);
}

/* Moves everything of `from` behind the last of `head`; `from` is empty afterwards. */
static inline void wi_list_splice_tail(struct wi_list *head, struct wi_list *from)
{
    if (wi_list_empty(from))
        return;
    struct wi_list *first = from->next, *last = from->prev;
    first->prev = head->prev;
    head->prev->next = first;
    last->next = head;
    head->prev = last;
    wi_list_init(from);
}

/* For the macros below: the object around `node`, NULL when the walk is back at `head`. */
static inline void *wi_list_object(const struct wi_list *head, struct wi_list *node, size_t member_off)
{
    if (node == head)
        return NULL;
    char *object = (char *)node - member_off;
    if (!object)
        __builtin_unreachable(); /* said for the static analyser, which takes such a difference for a possible NULL */
    return object;
}

/* The first or last object, NULL when there is none. `head` is evaluated twice. */
#define wi_list_first(head, type, member) ((type *)wi_list_object((head), (head)->next, offsetof(type, member)))
#define wi_list_last(head, type, member)  ((type *)wi_list_object((head), (head)->prev, offsetof(type, member)))

/* The object after or before `obj`, NULL at the end. */
#define wi_list_next(obj, head, type, member)                                                                          \
    ((type *)wi_list_object((head), (obj)->member.next, offsetof(type, member)))
#define wi_list_prev(obj, head, type, member)                                                                          \
    ((type *)wi_list_object((head), (obj)->member.prev, offsetof(type, member)))

/* Walks the objects in order. The macro declares `pos` itself: wi_list_for_each(c, &s->conns, struct conn, link) { ...
 * } */
#define wi_list_for_each(pos, head, type, member)                                                                      \
    for (type *pos = wi_list_first(head, type, member); pos; pos = wi_list_next(pos, head, type, member))

/* The same, and the body may take `pos` out and free it (but not the one behind it). */
#define wi_list_for_each_safe(pos, head, type, member)                                                                 \
    for (type *pos = wi_list_first(head, type, member),                                                                \
              *pos##_next = pos ? wi_list_next(pos, head, type, member) : NULL;                                        \
         pos; pos = pos##_next, pos##_next = pos ? wi_list_next(pos, head, type, member) : NULL)

#endif
