/* The native engine: what engine.py does, in C.

       interpreter --call, line, return, exception--> Activation (one per call or resume) --> Tape (frames as JSON)

   The same frames, byte for byte. What makes it fast, in the order of what it is worth:

   1. a value is looked at before it is written: the same immutable object in the same place is the same text
      (`Snapshot`: the types, lengths and atoms of a value as a flat list of words, compared in place, no allocation);
   2. texts are written here, stop at the cut, and are kept in their JSON form for the frames that show them again;
   3. locals are read from the interpreter's own frame: nothing is made for the program to see, and no Python code of
      ours runs in it, so that `locals()`, its recursion limit and the death of its objects are as without us.

   Everything rare is left to the Python code beside this file, which also decides what is in scope (scope.py) and how
   a class is taken apart (descriptions.py): a value that holds anything of another kind (a Counter, a path) is written
   by `values.Writer`, names of a module or class body are found by `engine.Activation`.

   Nothing is kept alive but atoms (ints, strings, ...), dates and decimals, code objects and classes. */

#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE_MODULE 1
#include <Python.h>
#include <frameobject.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_code.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_moduleobject.h>
#include <internal/pycore_object.h>
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_setobject.h>
#endif
#include <datetime.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h>
#include <time.h>

#if PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x030E0000 || defined(Py_GIL_DISABLED)
#error "frames of this version of the interpreter are not known here"
#endif

typedef _PyInterpreterFrame IFrame;

#define ORDERED_AS_PAIRS (PY_VERSION_HEX < 0x030C0000) /* how OrderedDict is written */

#if PY_VERSION_HEX >= 0x030D0000
#define FRAME_CODE(frame) ((PyCodeObject *)(frame)->f_executable)
#else
#define FRAME_CODE(frame) ((frame)->f_code)
#endif

/* -- growing buffers ---------------------------------------------------------------------------------------------- */

typedef struct {
    char *data;
    Py_ssize_t len, cap;
} Buf;

static int buf_grow(Buf *b, Py_ssize_t more) {
    Py_ssize_t cap = b->cap ? b->cap : 64;
    while (cap < b->len + more) cap *= 2;
    char *data = PyMem_RawRealloc(b->data, cap);
    if (data == NULL) { PyErr_NoMemory(); return -1; }
    b->data = data;
    b->cap = cap;
    return 0;
}

static inline int buf_room(Buf *b, Py_ssize_t more) { return b->len + more <= b->cap ? 0 : buf_grow(b, more); }

static inline int buf_put(Buf *b, const char *text, Py_ssize_t len) {
    if (buf_room(b, len) < 0) return -1;
    memcpy(b->data + b->len, text, len);
    b->len += len;
    return 0;
}

#define PUT(b, literal) buf_put(b, literal, sizeof(literal) - 1)

/* The decimal digits of a number, at `out`; returns where they end. At most 20 characters. */
static inline char *digits_of(long long value, char *out) {
    unsigned long long left = value < 0 ? -(unsigned long long)value : (unsigned long long)value;
    if (value < 0) *out++ = '-';
    if (left < 10) { *out++ = '0' + (char)left; return out; }
    char digits[20], *end = digits + sizeof digits, *at = end;
    do { *--at = '0' + left % 10; left /= 10; } while (left);
    memcpy(out, at, end - at);
    return out + (end - at);
}

static inline int buf_put_int(Buf *b, long long value) {
    if (buf_room(b, 20) < 0) return -1;
    b->len = digits_of(value, b->data + b->len) - b->data;
    return 0;
}

typedef struct {
    uintptr_t *data;
    Py_ssize_t len, cap;
} Words;

static int words_grow(Words *w) {
    Py_ssize_t cap = w->cap ? 2 * w->cap : 16;
    uintptr_t *data = PyMem_RawRealloc(w->data, cap * sizeof *data);
    if (data == NULL) { PyErr_NoMemory(); return -1; }
    w->data = data;
    w->cap = cap;
    return 0;
}

static inline int words_put(Words *w, uintptr_t word) {
    if (w->len == w->cap && words_grow(w) < 0) return -1;
    w->data[w->len++] = word;
    return 0;
}

static void refs_clear(Words *refs) {
    while (refs->len) Py_DECREF((PyObject *)refs->data[--refs->len]);
}

/* -- JSON --------------------------------------------------------------------------------------------------------- */

static const char HEX[] = "0123456789abcdef";

/* Characters that mean themselves in JSON and in the `repr` of a str. */
static const unsigned char IS_PLAIN[256] = {[' ' ... '!'] = 1, ['#' ... '&'] = 1, ['(' ... '['] = 1, [']' ... '~'] = 1};

/* The inside of a JSON string. */
static int put_json(Buf *b, const char *text, Py_ssize_t len) {
    if (buf_room(b, 6 * len) < 0) return -1;
    char *out = b->data + b->len;
    for (Py_ssize_t i = 0; i < len; i++) {
        unsigned char c = text[i];
        if (c >= 0x20 && c != '"' && c != '\\') { *out++ = c; continue; }
        *out++ = '\\';
        switch (c) {
        case '"': case '\\': *out++ = c; break;
        case '\n': *out++ = 'n'; break;
        case '\r': *out++ = 'r'; break;
        case '\t': *out++ = 't'; break;
        case '\b': *out++ = 'b'; break;
        case '\f': *out++ = 'f'; break;
        default: *out++ = 'u'; *out++ = '0'; *out++ = '0'; *out++ = HEX[c >> 4]; *out++ = HEX[c & 15];
        }
    }
    b->len = out - b->data;
    return 0;
}

/* The UTF-8 of a str, lone surrogates included: then `*is_odd` is set, and the frame made ASCII before it is kept. */
static PyObject *utf8_of(PyObject *text, bool *is_odd) {
    PyObject *bytes = PyUnicode_AsUTF8String(text);
    if (bytes == NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        *is_odd = true;
        bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    }
    return bytes;
}

/* -- classes ------------------------------------------------------------------------------------------------------ */

typedef enum {
    K_UNKNOWN, K_INT, K_STR, K_FLOAT, K_NAMED, K_BYTES, K_COMPLEX,     /* atoms; K_NAMED: None, True, False, ... */
    K_LIST, K_TUPLE, K_NAMED_TUPLE, K_EXCEPTION, K_RANGE, K_SLICE,     /* containers: of an array, */
    K_DICT, K_DEFAULTDICT, K_ORDERED_DICT, K_KEYS, K_VALUES, K_ITEMS,  /* of a dict's entries, */
    K_SET, K_FROZENSET, K_DEQUE,                                       /* of others' parts, */
    K_INSTANCE, K_DATACLASS, K_FRACTION, K_ENUM,                       /* of attributes */
    K_FUNCTION, K_CLASS, K_MODULE, K_BUILTIN, K_DESCRIPTOR, K_WRAPPER, /* leaves: of a name, */
    K_IMMUTABLE, K_TIME, K_CONSTANT,                                   /* of a text that stays, */
    K_BYTEARRAY,                                                       /* of bytes that change */
    K_OTHER                                                            /* values.Writer's */
} Kind;

static const struct {
    const char *name;
    Kind kind;
} KINDS[] = {
    {"int", K_INT}, {"str", K_STR}, {"float", K_FLOAT}, {"bytes", K_BYTES},
    {"list", K_LIST}, {"tuple", K_TUPLE}, {"named tuple", K_NAMED_TUPLE}, {"exception", K_EXCEPTION},
    {"range", K_RANGE}, {"slice", K_SLICE},
    {"dict", K_DICT}, {"defaultdict", K_DEFAULTDICT}, {"OrderedDict", K_ORDERED_DICT},
    {"dict_keys", K_KEYS}, {"dict_values", K_VALUES}, {"dict_items", K_ITEMS},
    {"set", K_SET}, {"frozenset", K_FROZENSET}, {"deque", K_DEQUE},
    {"instance", K_INSTANCE}, {"dataclass", K_DATACLASS}, {"Fraction", K_FRACTION}, {"enum", K_ENUM},
    {"function", K_FUNCTION}, {"class", K_CLASS}, {"module", K_MODULE}, {"builtin", K_BUILTIN},
    {"descriptor", K_DESCRIPTOR}, {"wrapper", K_WRAPPER},
    {"immutable", K_IMMUTABLE}, {"time", K_TIME}, {"constant", K_CONSTANT}, {"bytearray", K_BYTEARRAY},
};

#define IS_ATOM(kind) ((kind) <= K_COMPLEX)
#define IS_ARRAY(kind) ((kind) >= K_LIST && (kind) <= K_SLICE)
#define IS_CONTAINER(kind) ((kind) >= K_LIST && (kind) <= K_ENUM)
#define HAS_PAIRS(kind) ((kind) == K_ITEMS || ((kind) == K_ORDERED_DICT && ORDERED_AS_PAIRS)) /* tuples of its own */
#define HAS_KEYS(kind) ((kind) >= K_DICT && (kind) <= K_ORDERED_DICT && !HAS_PAIRS(kind))
#define IS_COUNTED(kind) /* its items may be cut */ \
    ((kind) != K_RANGE && (kind) != K_SLICE && (kind) != K_FRACTION && (kind) != K_ENUM)

typedef struct {
    PyObject *name;
    Py_ssize_t offset;
} Slot;

/* How the instances of a class are written. */
typedef struct {
    Py_ssize_t num_users;
    Kind kind, base; /* base: of the builtin value whose text comes first; or K_UNKNOWN */
    PyObject *name;  /* of the class, where the text must follow it; or NULL */
    PyObject *text;  /* bytes, as in JSON: what it opens with, or all of a constant */
    Py_ssize_t num_chars;
    bool has_dict;
    int num_slots, num_fields;
    Slot *slots;
    PyObject *fields; /* tuple of str */
} Form;

typedef struct {
    PyTypeObject *type; /* kept, so that its address stays its own */
    Kind kind;
    Form *form; /* NULL: a builtin type */
} Class;

typedef struct {
    Class *table;
    Py_ssize_t num, mask;
} Classes;

/* -- what is known about a code object ---------------------------------------------------------------------------- */

typedef struct {
    PyObject *label; /* bytes: "name": in JSON, with its colon */
    int slot;
    unsigned char kind;
} Name;

typedef struct Activation Activation;

typedef struct {
    PyCodeObject *code; /* kept */
    PyObject *info;     /* CodeInfo; NULL: out of scope */
    bool is_function, can_suspend, is_coroutine, is_async_generator;
    int call_line;
    const unsigned char *co_code; /* of info.co_code */
    Py_ssize_t num_code;
    int num_names;
    Name *names;
    PyObject **places; /* bytes by line, from first_line on */
    int first_line, num_lines;
    int *lines; /* by instruction, where it was asked for; 0: not yet */
    int32_t *fold_inside; /* by instruction: index of its comprehension, or -1; NULL: no comprehension */
    unsigned char *fold_starts;
    int *fold_lines; /* by index */
    bool is_odd;         /* some line of it holds lone surrogates */
    uint64_t watched_by; /* the recording that has its local events on (`sys.monitoring`) */
    PyObject *jump_targets; /* dict, offset -> (offset, line); or NULL */
    Activation *idle; /* activations to use again */
} Code;

/* -- what a variable showed last ---------------------------------------------------------------------------------- */

typedef struct {
    PyObject *ref;   /* the atom that it is, kept; else NULL */
    PyObject *other; /* values.Seen, where values.Writer looked */
    Buf text;        /* JSON, quotes included */
    uint64_t hash;   /* of what a cut left out of it, where `has_hash` */
    Words words, refs;
    bool is_shown, is_cut, has_hash, has_words, has_visits, is_partial;
} Seen;

struct Activation {
    Code *code;
    IFrame *frame;
    int depth;
    bool is_full_next;
    int raised_at;
    int fold_inside, fold_last, fold_line;
    bool fold_jumped;
    PyObject *helper; /* engine.Activation for a module's or class body's names */
    Seen *seen;
    Activation *next; /* idle */
};

/* Where the program is. */
typedef struct {
    IFrame *frame;
    PyCodeObject *code;
    int offset; /* of the instruction, in bytes; -1: before the first */
    int line;
} Place;

/* -- engine and threads ------------------------------------------------------------------------------------------- */

/* What is known about code under one scope, for all its recordings. */
typedef struct {
    PyObject_HEAD
    Code **table;
    Py_ssize_t num, mask;
} Codes;

typedef struct {
    PyObject_HEAD
    PyObject *owner;     /* a proxy of NativeEngine, which holds us: over_budget, fail, helper, names */
    PyObject *scope;     /* Scope.info_of */
    Codes *codes;
    uint64_t serial;     /* of this recording, among those of the process */
    PyObject *writer;    /* values.Writer */
    PyObject *describe;  /* class -> (kind, text) */
    PyObject *budget_stop;
    Py_ssize_t max_depth, max_items, max_chars; /* PY_SSIZE_T_MAX: none */
    long long max_frames, max_bytes, num_frames, num_bytes;
    double deadline; /* monotonic; 0: none */
    bool is_spent, is_repr, stops_program, full_after_return, has_entry;
    int op_yield, op_resume;
    unsigned char op_returns[2], op_loops[3];
    int num_returns, num_loops;
    Classes classes;
    PyObject *disable;         /* sys.monitoring.DISABLE */
    uint64_t last_id;          /* of the interpreter's thread state, and our thread for it (borrowed) */
    struct Thread *last_thread;
} Engine;

/* What the program must not notice of what we do in between: our objects bring none of its finalizers about, now or
   later, and our code finds room at the end of its stack too. */
typedef struct {
    int is_collecting, num_new;
} Aside;

#define MAX_LEVEL 1000 /* of values inside each other */
typedef struct {
    PyObject *object;
    uint32_t index, stamp;
    int level;
} Visit;

/* Objects in the order in which they are met: a hash table, and a list of what stands in it since the last `stamp`. */
typedef struct {
    Visit *table;
    PyObject **objects;
    uint32_t num, mask, stamp;
} Visits;

#define OUR_LEVELS 60 /* of Python code, which is never deep */

typedef struct Thread {
    PyObject_HEAD
    Engine *engine;
    uint64_t id; /* of the interpreter's thread state; 0: not attached */
    bool is_live;
    bool was_displaced; /* for a while: frames are missing */
    bool is_odd;        /* some text holds lone surrogates */
    int what;           /* of the event */
    bool is_aside, has_asked;
    Aside aside;
    PyObject *signal[3]; /* type, value, traceback: what the program's handler of a signal raised in between */
    long long num_cut;
    Activation **stack;
    int height, room;
    Buf tape;
    Words ends;        /* of each frame */
    Buf json;          /* scratch */
    Words words, refs; /* scratch */
    PyObject *above[MAX_LEVEL + 4]; /* containers around the one that is looked at */
    uintptr_t room_from, room_size; /* of the machine's stack, its last part left out; 0: not asked yet */
    Visits visits;        /* of a large value: the containers in it */
    bool has_visits, is_partial; /* of the snapshot that is compared: see there */
    PyObject *unknown;    /* a class that was met and never described */
} Thread;

static void step_aside(Aside *s) {
    PyThreadState *here = PyThreadState_Get();
    s->is_collecting = PyGC_Disable();
    s->num_new = here->interp->gc.generations[0].count;
#if PY_VERSION_HEX < 0x030C0000
    here->recursion_remaining += OUR_LEVELS;
#else
    here->py_recursion_remaining += OUR_LEVELS;
    here->c_recursion_remaining += OUR_LEVELS;
#endif
}

static void step_back(const Aside *s) {
    PyThreadState *here = PyThreadState_Get();
#if PY_VERSION_HEX < 0x030C0000
    here->recursion_remaining -= OUR_LEVELS;
#else
    here->py_recursion_remaining -= OUR_LEVELS;
    here->c_recursion_remaining -= OUR_LEVELS;
#endif
    here->interp->gc.generations[0].count = s->num_new;
    if (s->is_collecting) PyGC_Enable();
}

/* Before whatever may make objects of the collector's, or needs the stack; most events come without. */
static inline void quiet(Thread *t) {
    if (t->is_aside) return;
    t->is_aside = true;
    step_aside(&t->aside);
}

/* Before our Python code: a signal's handler, which is the program's, runs before it and not in it. */
static void step_out(Thread *t) {
    if (!t->has_asked && t->what != PyTrace_CALL) {
        t->has_asked = true;
        if (t->is_aside) step_back(&t->aside);
        t->is_aside = false;
        if (PyErr_CheckSignals() < 0) PyErr_Fetch(&t->signal[0], &t->signal[1], &t->signal[2]);
    }
    quiet(t);
}

/* The event is over. True: a signal's exception is set. */
static inline bool came_back(Thread *t) {
    if (!t->is_aside) return false;
    step_back(&t->aside);
    t->is_aside = t->has_asked = false;
    if (t->signal[0] == NULL) return false;
    PyErr_Restore(t->signal[0], t->signal[1], t->signal[2]);
    t->signal[0] = t->signal[1] = t->signal[2] = NULL;
    return true;
}

static inline uint64_t mix(uint64_t h, uint64_t x) {
    h ^= x + 0x9E3779B97F4A7C15ull + (h << 6) + (h >> 2);
    h *= 0xBF58476D1CE4E5B9ull;
    return h ^ (h >> 29);
}

/* -- classes: known by address, asked once ------------------------------------------------------------------------ */

static Class *classes_slot(Classes *c, PyTypeObject *type) {
    Py_ssize_t i = ((uintptr_t)type >> 4) & c->mask;
    while (c->table[i].type != NULL && c->table[i].type != type) i = (i + 1) & c->mask;
    return &c->table[i];
}

static int classes_grow(Classes *c) {
    Classes bigger = {NULL, c->num, c->mask ? 2 * c->mask + 1 : 63};
    bigger.table = PyMem_RawCalloc(bigger.mask + 1, sizeof *bigger.table);
    if (bigger.table == NULL) { PyErr_NoMemory(); return -1; }
    for (Py_ssize_t i = 0; c->table && i <= c->mask; i++)
        if (c->table[i].type) *classes_slot(&bigger, c->table[i].type) = c->table[i];
    PyMem_RawFree(c->table);
    *c = bigger;
    return 0;
}

static void form_drop(Form *r) {
    if (r == NULL || --r->num_users) return;
    Py_XDECREF(r->name);
    Py_XDECREF(r->text);
    for (int i = 0; i < r->num_slots; i++) Py_XDECREF(r->slots[i].name);
    PyMem_RawFree(r->slots);
    Py_XDECREF(r->fields);
    PyMem_RawFree(r);
}

static PyObject *heap_name(PyTypeObject *type) { /* borrowed */
    return type->tp_flags & Py_TPFLAGS_HEAPTYPE ? ((PyHeapTypeObject *)type)->ht_name : NULL;
}

static PyObject *heap_qualified_name(PyTypeObject *type) { /* borrowed */
    return type->tp_flags & Py_TPFLAGS_HEAPTYPE ? ((PyHeapTypeObject *)type)->ht_qualname : NULL;
}

static Kind kind_of(PyObject *name) {
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (name != Py_None && PyUnicode_CompareWithASCIIString(name, KINDS[i].name) == 0) return KINDS[i].kind;
    return name == Py_None ? K_UNKNOWN : K_OTHER;
}

/* Of what `native.describe` says: kind, opened, base, has_dict, slots, fields. */
static Form *form_new(PyTypeObject *type, PyObject *said) {
    PyObject *kind, *opened, *base, *slots, *fields;
    int has_dict;
    if (!PyArg_ParseTuple(said, "OSOpO!O!", &kind, &opened, &base, &has_dict, &PyTuple_Type, &slots,
                          &PyTuple_Type, &fields))
        return NULL;
    Form *r = PyMem_RawCalloc(1, sizeof *r);
    if (r == NULL) return (Form *)PyErr_NoMemory();
    r->num_users = 1;
    r->kind = kind_of(kind);
    r->base = kind_of(base);
    r->has_dict = has_dict;
    if (r->base == K_OTHER) r->kind = K_OTHER;
    if (r->kind == K_CONSTANT || r->kind == K_EXCEPTION || r->kind == K_ENUM) {
        r->name = heap_name(type);
        Py_XINCREF(r->name);
    }
    r->fields = Py_NewRef(fields);
    r->num_fields = (int)PyTuple_GET_SIZE(fields);
    r->slots = PyMem_RawCalloc(PyTuple_GET_SIZE(slots) + 1, sizeof *r->slots);
    if (r->slots == NULL) { form_drop(r); return (Form *)PyErr_NoMemory(); }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(slots); i++) {
        PyObject *name, *slot;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(slots, i), "UO!", &name, &PyMemberDescr_Type, &slot)) {
            form_drop(r);
            return NULL;
        }
        PyMemberDef *member = ((PyMemberDescrObject *)slot)->d_member;
        if (member->type != T_OBJECT_EX || !PyType_IsSubtype(type, PyDescr_TYPE(slot))) r->kind = K_OTHER;
        r->slots[r->num_slots++] = (Slot){Py_NewRef(name), member->offset};
    }
    Buf json = {NULL, 0, 0};
    if (put_json(&json, PyBytes_AS_STRING(opened), PyBytes_GET_SIZE(opened)) == 0)
        r->text = PyBytes_FromStringAndSize(json.data, json.len);
    PyMem_RawFree(json.data);
    for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(opened); i++)
        r->num_chars += (PyBytes_AS_STRING(opened)[i] & 0xC0) != 0x80;
    if (r->text == NULL) { form_drop(r); return NULL; }
    return r;
}

static Class *class_add(Engine *e, PyTypeObject *type, Kind kind, Form *form) {
    if (e->classes.table == NULL || 2 * (e->classes.num + 1) > e->classes.mask)
        if (classes_grow(&e->classes) < 0) return NULL;
    Class *found = classes_slot(&e->classes, type);
    if (found->type == NULL) {
        Py_INCREF(type);
        found->type = type;
        e->classes.num++;
    }
    found->kind = kind;
    if (form) form->num_users++;
    form_drop(found->form);
    found->form = form;
    return found;
}

/* Forms of earlier recordings, of classes that have not been changed since: the interpreter gives a class another
   version then, and never one that any class had before. It keeps no class alive. C's own classes do not change. */
#define NUM_DESCRIBED 512
static struct Described {
    PyTypeObject *type; /* borrowed, perhaps dead */
    unsigned int version;
    PyObject *name, *qualified_name; /* no new version where these change */
    Form *form;
} described[NUM_DESCRIBED];

static struct Described *described_slot(PyTypeObject *type) {
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) return &described[((uintptr_t)type >> 5) % NUM_DESCRIBED];
    if (type->tp_version_tag == 0) return NULL;
#if PY_VERSION_HEX < 0x030D0000
    if (!(type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG)) return NULL;
#endif
    return &described[((uintptr_t)type >> 5 ^ type->tp_version_tag) % NUM_DESCRIBED];
}

static unsigned int version_of(PyTypeObject *type) {
    return type->tp_flags & Py_TPFLAGS_HEAPTYPE ? type->tp_version_tag : 0;
}

static Class *class_new(Engine *e, PyTypeObject *type) {
    struct Described *known = described_slot(type);
    if (known && known->type == type && known->version == version_of(type) && known->name == heap_name(type) &&
        known->qualified_name == heap_qualified_name(type))
        return class_add(e, type, known->form->kind, known->form);
    PyObject *said = PyObject_CallOneArg(e->describe, (PyObject *)type);
    if (said == NULL) return NULL;
    Form *form = form_new(type, said);
    Py_DECREF(said);
    if (form == NULL) return NULL;
    known = described_slot(type);
    if (known) {
        known->type = type;
        known->version = version_of(type);
        Py_XSETREF(known->name, Py_XNewRef(heap_name(type)));
        Py_XSETREF(known->qualified_name, Py_XNewRef(heap_qualified_name(type)));
        form->num_users++;
        form_drop(known->form);
        known->form = form;
    }
    Class *found = class_add(e, type, form->kind, form);
    form_drop(form);
    return found;
}

/* NULL with an exception set where the description fails. */
static inline Class *class_of(Thread *t, PyTypeObject *type) {
    Class *found = classes_slot(&t->engine->classes, type);
    if (found->type != NULL) return found;
    step_out(t);
    return class_new(t->engine, type);
}

/* -- attributes of an instance: as its `__dict__` would hold them, which is not made for us to look at ------------- */

typedef struct {
    PyObject *dict;       /* NULL: the interpreter keeps the values in the object, or there are none */
    PyDictValues *values;
    PyDictUnicodeEntry *entries;
    Py_ssize_t size, pos;
    bool has_others; /* keys that are no names: left out */
} Attributes;

static inline bool attributes_next(Attributes *a, PyObject **key, PyObject **item) {
    while (a->dict != NULL) {
        if (!PyDict_Next(a->dict, &a->pos, key, item)) return false;
        if (!a->has_others || PyUnicode_CheckExact(*key)) return true;
    }
    if (a->pos >= a->size) return false;
#if PY_VERSION_HEX < 0x030D0000
    Py_ssize_t at = ((uint8_t *)a->values)[-3 - a->pos++];
#else
    Py_ssize_t at = get_insertion_order_array(a->values)[a->pos++];
#endif
    *key = a->entries[at].me_key;
    *item = a->values->values[at];
    return *item != NULL;
}

/* False: they are not to be had. */
static bool attributes_of(PyObject *value, Attributes *a) {
    PyTypeObject *type = Py_TYPE(value);
    memset(a, 0, sizeof *a);
    if (!(type->tp_flags & Py_TPFLAGS_MANAGED_DICT)) {
        PyObject **dict = _PyObject_GetDictPtr(value);
        if (dict == NULL) return false;
        a->dict = *dict;
    } else {
#if PY_VERSION_HEX < 0x030C0000
        a->values = *_PyObject_ValuesPointer(value);
        a->dict = a->values ? NULL : *_PyObject_ManagedDictPointer(value);
#elif PY_VERSION_HEX < 0x030D0000
        PyDictOrValues held = *_PyObject_DictOrValuesPointer(value);
        if (_PyDictOrValues_IsValues(held)) a->values = _PyDictOrValues_GetValues(held);
        else a->dict = _PyDictOrValues_GetDict(held);
#else
        a->dict = (PyObject *)_PyObject_ManagedDictPointer(value)->dict;
        if (a->dict == NULL && type->tp_flags & Py_TPFLAGS_INLINE_VALUES) {
            a->values = _PyObject_InlineValues(value);
            if (!a->values->valid) a->values = NULL;
        }
#endif
    }
    if (a->dict != NULL) {
        if (!PyDict_CheckExact(a->dict)) return false;
        a->size = PyDict_GET_SIZE(a->dict);
        a->has_others = !DK_IS_UNICODE(((PyDictObject *)a->dict)->ma_keys);
        if (a->has_others) {
            Attributes all = *a;
            PyObject *key, *item;
            for (a->size = 0; attributes_next(&all, &key, &item); a->size++) {}
        }
        return true;
    }
    if (a->values != NULL) {
        PyDictKeysObject *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
        if (keys == NULL || !DK_IS_UNICODE(keys)) return false;
        a->entries = DK_UNICODE_ENTRIES(keys);
#if PY_VERSION_HEX < 0x030D0000
        a->size = ((uint8_t *)a->values)[-2];
#else
        a->size = a->values->size;
#endif
    }
    return true;
}

/* -- names: of what is named and not shown ------------------------------------------------------------------------- */

/* Either an object, kept where it is remembered, or bytes. */
typedef struct {
    PyObject *object;
    const char *text;
    Py_ssize_t len;
} Label;

static void label_text(Label *l, const char *text) {
    l->text = text;
    l->len = strlen(text);
}

typedef struct { /* as in Objects/descrobject.c */
    PyObject_HEAD
    PyWrapperDescrObject *descr;
    PyObject *self;
} MethodWrapper;

static bool label_of_class(PyTypeObject *type, Label *l) {
    l->object = heap_name(type);
    if (l->object != NULL) return PyUnicode_CheckExact(l->object);
    const char *dot = strrchr(type->tp_name, '.');
    label_text(l, dot ? dot + 1 : type->tp_name);
    return true;
}

static PyObject *str_module_name; /* "__name__" */

/* False: not to be had here. */
static bool label_of(Kind kind, PyObject *value, Label *l) {
    *l = (Label){NULL, "", 0};
    switch (kind) {
    case K_FUNCTION: l->object = ((PyFunctionObject *)value)->func_qualname; break;
    case K_CLASS: return label_of_class((PyTypeObject *)value, l);
    case K_MODULE: {
        PyObject *names = ((PyModuleObject *)value)->md_dict;
        if (names == NULL || !DK_IS_UNICODE(((PyDictObject *)names)->ma_keys)) return false; /* a key's `__eq__` */
        l->object = PyDict_GetItemWithError(names, str_module_name);
        break;
    }
    case K_BUILTIN: label_text(l, ((PyCFunctionObject *)value)->m_ml->ml_name); return true;
    case K_DESCRIPTOR: l->object = PyDescr_NAME(value); break;
    case K_WRAPPER: label_text(l, ((MethodWrapper *)value)->descr->d_base->name); return true;
    case K_BYTEARRAY:
        l->text = PyByteArray_AS_STRING(value);
        l->len = PyByteArray_GET_SIZE(value);
        return true;
    case K_TIME: /* of the program's own time zone, perhaps */
        l->object = value;
        return !((_PyDateTime_BaseTZInfo *)value)->hastzinfo;
    case K_IMMUTABLE: l->object = value; return true;
    default: return true;
    }
    return l->object != NULL && PyUnicode_CheckExact(l->object);
}

static uint64_t hash_of(uint64_t hash, const char *text, Py_ssize_t len) {
    hash = mix(hash, (uint64_t)len);
    for (; len >= 8; text += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        hash = mix(hash, word);
    }
    uint64_t last = 0;
    memcpy(&last, text, len);
    return mix(hash, last);
}

static uintptr_t label_word(const Label *l) {
    return l->object ? (uintptr_t)l->object : (uintptr_t)hash_of(0, l->text, l->len);
}

/* -- parts: what a container holds --------------------------------------------------------------------------------- */

typedef struct { /* as in Objects/rangeobject.c */
    PyObject_HEAD
    PyObject *start, *stop, *step, *length;
} Range;

typedef struct OrderedNode { /* as in Objects/odictobject.c */
    PyObject *key;
    Py_hash_t hash;
    struct OrderedNode *next, *prev;
} OrderedNode;

typedef struct {
    PyDictObject dict;
    OrderedNode *first;
} Ordered;

typedef struct Block { /* as in Modules/_collectionsmodule.c */
    struct Block *left;
    PyObject *items[64];
    struct Block *right;
} Block;

typedef struct {
    PyObject_VAR_HEAD
    Block *left, *right;
    Py_ssize_t left_index, right_index;
    size_t state;
    Py_ssize_t max_len;
} Deque;

typedef struct {
    PyDictObject dict;
    PyObject *factory;
} DefaultDict;

typedef struct {
    Kind kind;
    const Form *form;
    PyObject *value;
    Py_ssize_t size, pos;
    PyObject **items;
    PyObject *dict;
    void *at; /* the block of a deque, the node of an OrderedDict */
    Attributes attributes, start;
    Label label;     /* of an enum's member, of a defaultdict's factory */
    bool is_wrapped; /* it stands in <> */
} Parts;

static inline PyObject *slot_of(PyObject *value, const Slot *slot) {
    return *(PyObject **)((char *)value + slot->offset);
}

/* An attribute by name; NULL where it is not bound. Most often it is the next one. */
static PyObject *field_of(Parts *x, PyObject *name) {
    PyObject *key, *item;
    for (int i = x->form->num_slots; i--;) {
        const Slot *slot = &x->form->slots[i];
        if (PyUnicode_Compare(slot->name, name) == 0 && (item = slot_of(x->value, slot)) != NULL) return item;
    }
    if (!x->form->has_dict) return NULL;
    if (attributes_next(&x->attributes, &key, &item) && key == name) return item;
    x->attributes = x->start;
    while (attributes_next(&x->attributes, &key, &item))
        if (key == name || PyUnicode_Compare(key, name) == 0) return item;
    return NULL;
}

static bool has_plain_keys(Engine *e, PyObject *dict) {
    PyObject *key, *item;
    Py_ssize_t pos = 0;
    while (PyDict_Next(dict, &pos, &key, &item)) {
        const Class *known = classes_slot(&e->classes, Py_TYPE(key));
        if (known->type == NULL || !IS_ATOM(known->kind)) return false;
    }
    return true;
}

/* False: not to be had here. */
static bool parts_of(Engine *e, Parts *x, Kind kind, const Form *form, PyObject *value) {
    x->kind = kind;
    x->form = form;
    x->value = value;
    x->pos = 0;
    x->label.object = NULL;
    x->is_wrapped = false;
    switch (kind) {
    case K_LIST:
        x->size = Py_SIZE(value);
        x->items = ((PyListObject *)value)->ob_item;
        return true;
    case K_TUPLE: case K_NAMED_TUPLE:
        x->size = Py_SIZE(value);
        x->items = ((PyTupleObject *)value)->ob_item;
        return kind == K_TUPLE || x->size == form->num_fields;
    case K_EXCEPTION: {
        PyObject *args = ((PyBaseExceptionObject *)value)->args;
        if (args == NULL) return false;
        x->size = PyTuple_GET_SIZE(args);
        x->items = ((PyTupleObject *)args)->ob_item;
        return true;
    }
    case K_RANGE: {
        Range *range = (Range *)value;
        int overflow;
        x->size = PyLong_AsLongLongAndOverflow(range->step, &overflow) == 1 ? 2 : 3;
        x->items = &range->start;
        return true;
    }
    case K_SLICE:
        x->size = 3;
        x->items = &((PySliceObject *)value)->start;
        return true;
    case K_DEFAULTDICT: {
        PyObject *factory = ((DefaultDict *)value)->factory;
        if (factory == NULL || factory == Py_None) label_text(&x->label, "None");
        else if (PyType_Check(factory)) { if (!label_of_class((PyTypeObject *)factory, &x->label)) return false; }
        else if (PyFunction_Check(factory)) x->label.object = ((PyFunctionObject *)factory)->func_name;
        else {
            x->is_wrapped = true;
            if (!label_of_class(Py_TYPE(factory), &x->label)) return false;
        }
        if (x->label.object != NULL && !PyUnicode_CheckExact(x->label.object)) return false;
    } /* fall through */
    case K_DICT:
        x->dict = value;
        x->size = PyDict_GET_SIZE(value);
        return true;
    case K_KEYS: case K_VALUES: case K_ITEMS:
        x->dict = (PyObject *)((_PyDictViewObject *)value)->dv_dict;
        if (x->dict == NULL || !PyDict_CheckExact(x->dict)) return false;
        x->size = PyDict_GET_SIZE(x->dict);
        return true;
    case K_ORDERED_DICT:
        x->dict = value;
        x->size = PyDict_GET_SIZE(value);
        x->at = ((Ordered *)value)->first;
        return has_plain_keys(e, value);
    case K_SET: case K_FROZENSET:
        x->size = PySet_GET_SIZE(value);
        return true;
    case K_DEQUE:
        x->size = Py_SIZE(value);
        x->at = ((Deque *)value)->left;
        x->pos = ((Deque *)value)->left_index;
        return true;
    default: /* attributes */
        x->size = 0;
        if (form->has_dict) {
            if (!attributes_of(value, &x->attributes)) return false;
            x->size = x->attributes.size;
        }
        if (kind == K_INSTANCE) {
            for (int i = 0; i < form->num_slots; i++) x->size += slot_of(value, &form->slots[i]) != NULL;
            return true;
        }
        x->start = x->attributes;
        x->size = form->num_fields;
        if (kind != K_ENUM) return true;
        x->label.object = field_of(x, PyTuple_GET_ITEM(form->fields, 0));
        x->pos = 1;
        x->size = 1;
        return x->label.object != NULL && PyUnicode_CheckExact(x->label.object);
    }
}

/* What came of a value or of a part of it. Nothing that says one of these runs Python code.
   TAKEN: it is written, or there. ENDED: there are no more parts. FAILED: an exception is set.
   NOT_OURS: it holds something that values.Writer must write.
   UNKNOWN: it holds an instance of a class (`t->unknown`) that was never met. All must start anew once the class is
   described, since that runs Python code, and the program's threads with it.
   LARGE: all must start anew, with visits. */
enum { FAILED = -1, NOT_OURS = 0, TAKEN = 1, UNKNOWN, ENDED, LARGE };

/* The next part, with its key or its name: TAKEN, ENDED or NOT_OURS. */
static inline int parts_next(Parts *x, PyObject **key, PyObject **item) {
    Py_hash_t hash;
    switch (x->kind) {
    case K_LIST: case K_TUPLE: case K_NAMED_TUPLE: case K_EXCEPTION: case K_RANGE: case K_SLICE:
        if (x->pos >= x->size) return ENDED;
        if (x->kind == K_NAMED_TUPLE) *key = PyTuple_GET_ITEM(x->form->fields, x->pos);
        *item = x->items[x->pos++];
        return TAKEN;
    case K_DICT: case K_DEFAULTDICT: case K_ITEMS: case K_KEYS: case K_VALUES:
        if (!PyDict_Next(x->dict, &x->pos, key, item)) return ENDED;
        if (x->kind == K_KEYS) *item = *key;
        return TAKEN;
    case K_ORDERED_DICT: {
        OrderedNode *node = x->at;
        if (node == NULL) return x->pos == x->size ? ENDED : NOT_OURS;
        x->at = node->next;
        x->pos++;
        *key = node->key;
        *item = _PyDict_GetItem_KnownHash(x->dict, node->key, node->hash);
        return *item == NULL ? NOT_OURS : TAKEN;
    }
    case K_SET: case K_FROZENSET: return _PySet_NextEntry(x->value, &x->pos, item, &hash) ? TAKEN : ENDED;
    case K_DEQUE: {
        Deque *deque = (Deque *)x->value;
        if (Py_SIZE(deque) == 0 || (x->at == deque->right && x->pos > deque->right_index)) return ENDED;
        *item = ((Block *)x->at)->items[x->pos++];
        if (x->pos == 64 && x->at != deque->right) {
            x->at = ((Block *)x->at)->right;
            x->pos = 0;
        }
        return TAKEN;
    }
    case K_INSTANCE:
        if (x->form->has_dict && attributes_next(&x->attributes, key, item)) return TAKEN;
        while (x->pos < x->form->num_slots) {
            const Slot *slot = &x->form->slots[x->pos++];
            *key = slot->name;
            *item = slot_of(x->value, slot);
            if (*item != NULL) return TAKEN;
        }
        return ENDED;
    default:
        if (x->pos >= x->form->num_fields) return ENDED;
        *key = PyTuple_GET_ITEM(x->form->fields, x->pos++);
        *item = field_of(x, *key);
        return *item == NULL ? NOT_OURS : TAKEN;
    }
}

/* The text of a class's instances must follow its name, and it was given another one. */
static inline bool is_renamed(PyTypeObject *type, const Form *form) {
    return form != NULL && form->name != NULL && ((PyHeapTypeObject *)type)->ht_name != form->name;
}

/* What a value of a builtin base is, for instances of its subclasses. */
static uint64_t base_word(Kind base, PyObject *value) {
    switch (base) {
    case K_STR: {
        const int width = PyUnicode_KIND(value);
        return hash_of(width, PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value) * width);
    }
    case K_BYTES: return hash_of(0, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    case K_FLOAT: return hash_of(0, (const char *)&((PyFloatObject *)value)->ob_fval, sizeof(double));
    default: {
        PyLongObject *number = (PyLongObject *)value;
#if PY_VERSION_HEX < 0x030C0000
        return hash_of(Py_SIZE(number), (const char *)number->ob_digit, Py_ABS(Py_SIZE(number)) * sizeof(digit));
#else
        const uintptr_t tag = number->long_value.lv_tag;
        return hash_of(tag & 3, (const char *)number->long_value.ob_digit, (tag >> 3) * sizeof(digit));
#endif
    }
    }
}

/* -- room: on the machine's stack, of which a level of a value takes a little -------------------------------------- */

#define FEW_LEVELS 16 /* for which there is always room */
#define LAST_ROOM (64 << 10)

static void ask_for_room(Thread *t) {
    uintptr_t from = 0, size = UINTPTR_MAX; /* not known: as much as one likes */
#if defined(__linux__)
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        void *stack;
        size_t num_bytes;
        if (pthread_attr_getstack(&attributes, &stack, &num_bytes) == 0) from = (uintptr_t)stack, size = num_bytes;
        pthread_attr_destroy(&attributes);
    }
#elif defined(__APPLE__)
    size = pthread_get_stacksize_np(pthread_self());
    from = (uintptr_t)pthread_get_stackaddr_np(pthread_self()) - size;
#endif
    t->room_from = from ? from + LAST_ROOM : 0;
    t->room_size = from ? (size > LAST_ROOM ? size - LAST_ROOM : 1) : size;
}

/* False: a program's threads may have small stacks, and no value of theirs is to end them. */
static inline bool has_room(Thread *t, int level) {
    if (level < FEW_LEVELS) return true;
    if (t->room_size == 0) ask_for_room(t);
    return (uintptr_t)__builtin_frame_address(0) - t->room_from < t->room_size;
}

/* -- visits: of the containers in a large value ------------------------------------------------------------------- */

static void visits_begin(Visits *v) {
    v->num = 0;
    if (++v->stamp == 0 && v->table) { /* once in four billion times */
        memset(v->table, 0, (v->mask + 1) * sizeof *v->table);
        v->stamp = 1;
    }
}

static Visit *visits_slot(const Visits *v, PyObject *object) {
    uint32_t i = (uint32_t)(mix(0, (uintptr_t)object) >> 8) & v->mask;
    while (v->table[i].stamp == v->stamp && v->table[i].object != object) i = (i + 1) & v->mask;
    return &v->table[i];
}

static int visits_grow(Visits *v) {
    Visits bigger = {NULL, NULL, v->num, v->mask ? 2 * v->mask + 1 : 1023, v->stamp};
    bigger.table = PyMem_RawCalloc(bigger.mask + 1, sizeof *bigger.table);
    bigger.objects = PyMem_RawRealloc(v->objects, (bigger.mask / 2 + 1) * sizeof *bigger.objects);
    if (bigger.objects) v->objects = bigger.objects;
    if (!bigger.table || !bigger.objects) { PyMem_RawFree(bigger.table); PyErr_NoMemory(); return -1; }
    for (uint32_t i = 0; v->table && i <= v->mask; i++)
        if (v->table[i].stamp == v->stamp) *visits_slot(&bigger, v->table[i].object) = v->table[i];
    PyMem_RawFree(v->table);
    *v = bigger;
    return 0;
}

/* 1: for the first time; 0: `*found` says when it was; -1: no memory. */
static int visit(Visits *v, PyObject *object, int level, Visit **found) {
    if ((v->table == NULL || v->num >= v->mask / 2) && visits_grow(v) < 0) return -1;
    *found = visits_slot(v, object);
    if ((*found)->stamp == v->stamp) return 0;
    **found = (Visit){object, v->num, v->stamp, level};
    v->objects[v->num++] = object;
    return 1;
}

/* -- snapshots: has a value changed? ------------------------------------------------------------------------------ */

/* A snapshot is a list of words. An atom is its address. A container is its class; its kind and its size, plus one
   where it is an array with one word for each item (atoms, most often); its label, if it has one; and what it holds,
   with names where they may change. A container in it is BELOW, followed by its own words; or AGAIN, one that stands
   around it; or SHARED, in a large value, whose containers have their own words once, at the first visit.

   One of more than MAX_WORDS is compared that far, as the format has it for texts of more than 1,000,000 characters. */
enum { BELOW = 1, AGAIN = 2, SHARED = 3 }; /* with AGAIN its level << 2, with SHARED the index of its visit << 2 */
#define LARGE_WORDS 4096
#define MAX_WORDS 333334
#define MAX_VISITS 100000
#define MAX_ROUNDS 200
#define HEAD(kind, size) ((uintptr_t)(size) << 8 | (uintptr_t)(kind) << 1)
#define HAS_LABEL(kind) ((kind) == K_ENUM || (kind) == K_DEFAULTDICT || (kind) == K_DEQUE)

static uintptr_t mark_of(const Parts *x) {
    return x->kind == K_DEQUE ? (uintptr_t)((Deque *)x->value)->max_len : label_word(&x->label) + x->is_wrapped;
}

/* 1: every text of `value` is what it was; 0: perhaps not. */
static int still(Thread *t, const Words *w, Py_ssize_t *at, PyObject *value, int level);

#define NEXT(word) \
    do { \
        if (*at >= w->len) return t->is_partial; \
        word = w->data[(*at)++]; \
    } while (0)

static inline int still_item(Thread *t, const Words *w, Py_ssize_t *at, PyObject *item, int level) {
    uintptr_t word;
    NEXT(word);
    if (word == (uintptr_t)item) return 1;
    switch (word & 3) {
    case BELOW:
        for (int k = 0; k < level && !t->has_visits; k++)
            if (t->above[k] == item) return 0;
        return still(t, w, at, item, level);
    case AGAIN: return t->above[word >> 2] == item;
    case SHARED: return t->has_visits && t->visits.objects[word >> 2] == item;
    default: return 0;
    }
}

static int still_parts(Thread *t, const Words *w, Py_ssize_t *at, Kind kind, const Form *form, PyObject *value,
                       int level) {
    uintptr_t head, word;
    NEXT(head);
    if ((head & 0xFE) != HEAD(kind, 0)) return 0;
    Parts x;
    if (!parts_of(t->engine, &x, kind, form, value) || x.size != (Py_ssize_t)(head >> 8)) return 0;
    if (HAS_LABEL(kind)) {
        NEXT(word);
        if (word != mark_of(&x)) return 0;
    }
    if (IS_ARRAY(kind)) {
        if (head & 1 && (x.size == 0 || memcmp(x.items, w->data + *at, x.size * sizeof *x.items) == 0)) {
            *at += x.size;
            return 1;
        }
        for (Py_ssize_t i = 0; i < x.size && *at < w->len; i++)
            if (!still_item(t, w, at, x.items[i], level + 1)) return 0;
        return 1;
    }
    if (kind == K_INSTANCE && form->base != K_UNKNOWN) {
        t->above[level + 1] = NULL;
        if (!IS_ATOM(form->base)) {
            if (!still_parts(t, w, at, form->base, form, value, level + 1)) return 0;
        } else {
            NEXT(word);
            if (word != base_word(form->base, value)) return 0;
        }
    }
    PyObject *key, *item;
    if (kind == K_DICT || (kind == K_INSTANCE && form->has_dict && form->num_slots == 0)) { /* most of them */
        while (kind == K_DICT ? PyDict_Next(value, &x.pos, &key, &item) : attributes_next(&x.attributes, &key, &item))
            if (!still_item(t, w, at, key, level + 1) || !still_item(t, w, at, item, level + 1)) return 0;
        return 1;
    }
    int below = level + 1, found;
    const bool has_pairs = HAS_PAIRS(kind), has_keys = has_pairs || HAS_KEYS(kind) || kind == K_INSTANCE;
    if (has_pairs) t->above[below++] = NULL;
    while ((found = parts_next(&x, &key, &item)) == TAKEN) {
        if (has_pairs) {
            NEXT(word);
            if ((word | 1) != (HEAD(K_TUPLE, 2) | 1)) return 0;
        }
        if ((has_keys && !still_item(t, w, at, key, below)) || !still_item(t, w, at, item, below)) return 0;
    }
    return found == ENDED;
}

static int still(Thread *t, const Words *w, Py_ssize_t *at, PyObject *value, int level) {
    PyTypeObject *type = Py_TYPE(value);
    uintptr_t word;
    NEXT(word);
    if (word != (uintptr_t)type || level >= MAX_LEVEL || !has_room(t, level)) return 0;
    if (*at >= w->len) return t->is_partial;
    t->above[level] = value;
    const Kind kind = w->data[*at] >> 1 & 0x7F;
    const Form *form = NULL;
    if (kind != K_LIST && kind != K_TUPLE && kind != K_DICT) {
        form = classes_slot(&t->engine->classes, type)->form;
        if (is_renamed(type, form)) return 0;
    }
    if (IS_CONTAINER(kind)) {
        Visit *found;
        if (t->has_visits && visit(&t->visits, value, level, &found) != 1) {
            PyErr_Clear();
            return 0;
        }
        return still_parts(t, w, at, kind, form, value, level);
    }
    Label label;
    ++*at;
    NEXT(word);
    return kind == K_CONSTANT || (label_of(kind, value, &label) && label_word(&label) == word);
}

/* -- texts -------------------------------------------------------------------------------------------------------- */

/* Writes the text of a value as the inside of a JSON string, and its snapshot. What a cut leaves out goes into a hash:
   two values whose texts and hashes are equal have equal uncut texts. */
typedef struct {
    Thread *t;
    Buf *out;
    Py_ssize_t start;     /* of the text in `out` */
    Py_ssize_t num_chars; /* of the text, which are not its bytes */
    Py_ssize_t max_chars;
    uint64_t hash;
    int num_muted;        /* containers around this place of which no more is shown */
    bool is_cut, is_over, keeps; /* is_over: the text is long enough; keeps: a snapshot is taken */
    bool has_visits, is_partial;
} Pen;

#define WRITES(p) ((p)->num_muted == 0 && !(p)->is_over)

/* Characters that mean in JSON what they mean here. */
static inline int pen_put(Pen *p, const char *text, Py_ssize_t len) {
    p->num_chars += len;
    return buf_put(p->out, text, len);
}

#define PEN_PUT(p, literal) pen_put(p, literal, sizeof(literal) - 1)

static int pen_put_utf8(Pen *p, const char *text, Py_ssize_t len) {
    Py_ssize_t num_more = 0;
    for (Py_ssize_t i = 0; i < len; i++) num_more += (text[i] & 0xC0) == 0x80;
    p->num_chars += len - num_more;
    return put_json(p->out, text, len);
}

static int pen_put_str(Pen *p, PyObject *text) { /* a str as it is */
    if (PyUnicode_IS_COMPACT_ASCII(text)) { /* most often all of it means in JSON what it means here */
        Py_ssize_t len = PyUnicode_GET_LENGTH(text), i = 0;
        const char *from = (const char *)PyUnicode_1BYTE_DATA(text);
        if (buf_room(p->out, len) < 0) return -1;
        char *out = p->out->data + p->out->len;
        for (; i < len && IS_PLAIN[(unsigned char)from[i]]; i++) out[i] = from[i];
        if (i == len) {
            p->out->len += len;
            p->num_chars += len;
            return 0;
        }
    }
    if (PyUnicode_IS_COMPACT_ASCII(text))
        return pen_put_utf8(p, (const char *)PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text));
    quiet(p->t);
    PyObject *bytes = utf8_of(text, &p->t->is_odd);
    if (bytes == NULL) return -1;
    int done = pen_put_utf8(p, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return done;
}

static int pen_put_class(Pen *p, const Form *form) {
    p->num_chars += form->num_chars;
    return buf_put(p->out, PyBytes_AS_STRING(form->text), PyBytes_GET_SIZE(form->text));
}

static int pen_put_repr(Pen *p, PyObject *atom) {
    quiet(p->t);
    PyObject *text = PyObject_Repr(atom);
    if (text == NULL) return -1;
    int done = pen_put_str(p, text);
    Py_DECREF(text);
    return done;
}

/* `repr` of a str of ASCII, or of what follows the b of bytes. */
static int pen_put_quoted(Pen *p, const char *text, Py_ssize_t len) {
    if (buf_room(p->out, 5 * len + 4) < 0) return -1;
    char *out = p->out->data + p->out->len;
    *out++ = '\'';
    Py_ssize_t i = 0;
    for (; i < len && IS_PLAIN[(unsigned char)text[i]]; i++) *out++ = text[i];
    Py_ssize_t num_chars = len + 2;
    if (i < len) {
        char quote = memchr(text, '\'', len) && !memchr(text, '"', len) ? '"' : '\'';
        if (quote == '"') {
            out -= i + 1;
            *out++ = '\\';
            *out++ = '"';
            memcpy(out, text, i);
            out += i;
        }
        for (; i < len; i++) {
            unsigned char c = text[i];
            if (IS_PLAIN[c]) { *out++ = c; continue; }
            if (c == '"') { *out++ = '\\'; *out++ = c; continue; }
            if (c == '\'' && quote == '"') { *out++ = c; continue; }
            *out++ = '\\';
            *out++ = '\\';
            num_chars++;
            switch (c) {
            case '\'': *out++ = c; break;
            case '\\': *out++ = c; *out++ = c; break;
            case '\n': *out++ = 'n'; break;
            case '\r': *out++ = 'r'; break;
            case '\t': *out++ = 't'; break;
            default: *out++ = 'x'; *out++ = HEX[c >> 4]; *out++ = HEX[c & 15]; num_chars += 2;
            }
        }
        if (quote == '"') *out++ = '\\';
        *out++ = quote;
    } else {
        *out++ = '\'';
    }
    p->num_chars += num_chars;
    p->out->len = out - p->out->data;
    return 0;
}

static int pen_put_count(Pen *p, const char *before, Py_ssize_t num_left, const char *after) { /* ...(+N) */
    char text[64];
    return pen_put(p, text, sprintf(text, "%s...(+%zd)%s", before, num_left, after));
}

/* What a cut leaves out of an atom that is not written. */
static int hash_atom(Pen *p, Class *cls, PyObject *value) {
    uint64_t own = (uintptr_t)cls->type;
    switch (cls->kind) {
    case K_NAMED: own = (uintptr_t)value; break;
    case K_FLOAT: {
        double number = PyFloat_AS_DOUBLE(value);
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        own = mix(own, number == number ? bits : 0);
        break;
    }
    case K_INT: {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        own = mix(own, overflow ? (uint64_t)PyObject_Hash(value) * 31 + overflow : (uint64_t)number);
        break;
    }
    case K_COMPLEX: { /* their hashes are the same for 0.0 and -0.0 */
        Py_complex number = PyComplex_AsCComplex(value);
        own = hash_of(own, (const char *)&number, sizeof number);
        break;
    }
    default: {
        Py_hash_t hash = PyObject_Hash(value);
        if (hash == -1) return -1;
        own = mix(own, hash);
    }
    }
    p->hash = mix(p->hash, own);
    return 0;
}

/* False: too large for this. */
static inline bool small_int(PyObject *value, long long *number) {
#if PY_VERSION_HEX < 0x030C0000
    Py_ssize_t size = Py_SIZE(value);
    if (size < -1 || size > 1) return false;
    *number = size == 0 ? 0 : size * (long long)((PyLongObject *)value)->ob_digit[0];
    return true;
#else
    if (!PyUnstable_Long_IsCompact((PyLongObject *)value)) return false;
    *number = PyUnstable_Long_CompactValue((PyLongObject *)value);
    return true;
#endif
}

static inline int pen_put_int(Pen *p, long long number) {
    if (buf_room(p->out, 20) < 0) return -1;
    char *out = p->out->data + p->out->len, *end = digits_of(number, out);
    p->out->len += end - out;
    p->num_chars += end - out;
    return 0;
}

static int pen_atom(Pen *p, Class *cls, PyObject *value) {
    switch (cls->kind) {
    case K_INT: {
        long long small;
        if (small_int(value, &small)) return pen_put_int(p, small);
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? pen_put_repr(p, value) : pen_put_int(p, number);
    }
    case K_STR: {
        Py_ssize_t len = PyUnicode_GET_LENGTH(value), num_left = len - p->max_chars;
        if (num_left > 0) len = p->max_chars;
        if (PyUnicode_IS_COMPACT_ASCII(value)) {
            if (pen_put_quoted(p, (const char *)PyUnicode_1BYTE_DATA(value), len) < 0) return -1;
        } else if (num_left <= 0) {
            return pen_put_repr(p, value);
        } else {
            PyObject *part = PyUnicode_Substring(value, 0, len);
            int done = part == NULL ? -1 : pen_put_repr(p, part);
            Py_XDECREF(part);
            if (done < 0) return -1;
        }
        if (num_left <= 0) return 0;
        p->is_cut = true;
        if (hash_atom(p, cls, value) < 0) return -1;
        return pen_put_count(p, "", num_left, "");
    }
    case K_BYTES: {
        Py_ssize_t len = PyBytes_GET_SIZE(value), num_left = len - p->max_chars;
        if (num_left > 0) len = p->max_chars;
        if (PEN_PUT(p, "b") < 0 || pen_put_quoted(p, PyBytes_AS_STRING(value), len) < 0) return -1;
        if (num_left <= 0) return 0;
        p->is_cut = true;
        if (hash_atom(p, cls, value) < 0) return -1;
        return pen_put_count(p, "", num_left, "");
    }
    case K_FLOAT: {
        double number = PyFloat_AS_DOUBLE(value);
        if (number > -1e15 && number < 1e15 && number == (double)(long long)number && (number != 0 || !signbit(number)))
            return pen_put_int(p, (long long)number) < 0 ? -1 : PEN_PUT(p, ".0");
        char *text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
        if (text == NULL) return -1;
        int done = pen_put(p, text, strlen(text));
        PyMem_Free(text);
        return done;
    }
    case K_NAMED:
        if (value == Py_None) return PEN_PUT(p, "None");
        if (value == Py_True) return PEN_PUT(p, "True");
        if (value == Py_False) return PEN_PUT(p, "False");
        return pen_put_repr(p, value);
    default:
        return pen_put_repr(p, value);
    }
}

static inline int keep_word(Pen *p, uintptr_t word) {
    if (!p->keeps) return 0;
    if (p->t->words.len < MAX_WORDS) return words_put(&p->t->words, word);
    p->is_partial = true;
    p->keeps = false;
    return 0;
}

static inline int keep_ref(Pen *p, PyObject *atom) {
    if (!p->keeps) return 0;
#if PY_VERSION_HEX >= 0x030C0000
    if (_Py_IsImmortal(atom)) return 0;
#endif
    if (words_put(&p->t->refs, (uintptr_t)atom) < 0) return -1;
    Py_INCREF(atom);
    return 0;
}

static inline void pen_look_over(Pen *p) { p->is_over = p->num_chars > p->max_chars; }

static int pen_container(Pen *p, Class *cls, PyObject *value, int level);

static int unknown(Thread *t, PyTypeObject *type) {
    Py_INCREF(type);
    Py_XSETREF(t->unknown, (PyObject *)type);
    return UNKNOWN;
}

static inline int pen_value(Pen *p, PyObject *value, int level) {
    PyTypeObject *type = Py_TYPE(value);
    Class *cls = classes_slot(&p->t->engine->classes, type);
    if (cls->type == NULL) return unknown(p->t, type);
    if (!IS_ATOM(cls->kind)) return pen_container(p, cls, value, level);
    if (keep_word(p, (uintptr_t)value) < 0 || keep_ref(p, value) < 0) return FAILED;
    long long number;
    if (type == &PyLong_Type && WRITES(p) && small_int(value, &number)) {
        if (pen_put_int(p, number) < 0) return FAILED;
        pen_look_over(p);
        return TAKEN;
    }
    if (!WRITES(p)) return hash_atom(p, cls, value) < 0 ? FAILED : TAKEN;
    if (pen_atom(p, cls, value) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) return FAILED;
        PyErr_Clear(); /* an integer past the interpreter's digit limit */
        return NOT_OURS;
    }
    pen_look_over(p);
    return TAKEN;
}

static int pen_label(Pen *p, const Label *l) {
    return l->object ? pen_put_str(p, l->object) : pen_put_utf8(p, l->text, l->len);
}

static int hash_label(Pen *p, const Label *l) {
    if (l->object == NULL) {
        p->hash = hash_of(p->hash, l->text, l->len);
        return 0;
    }
    quiet(p->t);
    PyObject *bytes = utf8_of(l->object, &p->t->is_odd);
    if (bytes == NULL) return -1;
    p->hash = hash_of(p->hash, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return 0;
}

static void hash_form(Pen *p, const Form *r) {
    p->hash = hash_of(p->hash, PyBytes_AS_STRING(r->text), PyBytes_GET_SIZE(r->text));
}

static inline int keep_label(Pen *p, const Label *l, uintptr_t word) {
    return keep_word(p, word) < 0 || (l->object && keep_ref(p, l->object) < 0) ? -1 : 0;
}

/* Met again inside itself. */
static int pen_again(Pen *p, Class *cls, int level, int above) {
    if (keep_word(p, (uintptr_t)above << 2 | AGAIN) < 0) return FAILED;
    if (!WRITES(p)) {
        p->hash = mix(p->hash, 0xA6A1 + level - above);
        return TAKEN;
    }
    const char *again = "...";
    switch (cls->kind) {
    case K_LIST: case K_DEQUE: again = "[...]"; break;
    case K_TUPLE: again = "(...)"; break;
    case K_DICT: again = "{...}"; break;
    case K_FROZENSET: again = "frozenset(...)"; break;
    case K_DEFAULTDICT: again = "defaultdict(...)"; break;
    case K_INSTANCE: again = " ...>"; break;
    case K_EXCEPTION: case K_NAMED_TUPLE: again = "...)"; break;
    default: break;
    }
    if ((again[0] == ' ' || again[3] == ')') && cls->form != NULL && pen_put_class(p, cls->form) < 0) return FAILED;
    if (pen_put(p, again, strlen(again)) < 0) return FAILED;
    pen_look_over(p);
    return TAKEN;
}

/* What is left out is in the hash. As `repr` has it, quotes of either kind anywhere decide on how it is quoted. */
static int pen_bytearray(Pen *p, const Label *l) {
    const Py_ssize_t num_left = l->len - p->max_chars;
    if (num_left > 0 && hash_label(p, l) < 0) return -1;
    quiet(p->t);
    PyObject *bytes = PyByteArray_FromStringAndSize(l->text, num_left > 0 ? p->max_chars + 2 : l->len);
    if (bytes == NULL) return -1;
    if (num_left > 0)
        for (int i = 0; i < 2; i++)
            PyByteArray_AS_STRING(bytes)[p->max_chars + i] = memchr(l->text, "'\""[i], l->len) ? "'\""[i] : ' ';
    int done = pen_put_repr(p, bytes);
    Py_DECREF(bytes);
    return done;
}

/* A text without parts. */
static int pen_leaf(Pen *p, Class *cls, PyObject *value) {
    Label label;
    if (is_renamed(cls->type, cls->form) || !label_of(cls->kind, value, &label)) return NOT_OURS;
    if (keep_word(p, (uintptr_t)cls->type) < 0 || keep_word(p, HEAD(cls->kind, 0)) < 0 ||
        keep_label(p, &label, label_word(&label)) < 0)
        return FAILED;
    const char *open = cls->kind == K_FUNCTION ? "<function " : cls->kind == K_CLASS ? "<class "
        : cls->kind == K_MODULE ? "<module " : "<built-in ";
    if (cls->kind == K_IMMUTABLE || cls->kind == K_TIME) {
        if (WRITES(p)) {
            if (pen_put_repr(p, value) < 0) return FAILED;
        } else {
            quiet(p->t);
            PyObject *text = PyObject_Repr(value);
            if (text == NULL) return FAILED;
            p->hash = mix(p->hash, (uint64_t)PyObject_Hash(text));
            Py_DECREF(text);
        }
    } else if (cls->kind == K_BYTEARRAY) {
        if (WRITES(p) ? pen_bytearray(p, &label) < 0 : hash_label(p, &label) < 0) return FAILED;
    } else if (cls->kind == K_CONSTANT) {
        if (!WRITES(p)) hash_form(p, cls->form);
        else if (pen_put_class(p, cls->form) < 0) return FAILED;
    } else if (!WRITES(p)) {
        p->hash = mix(p->hash, cls->kind);
        if (hash_label(p, &label) < 0) return FAILED;
    } else if (pen_put(p, open, strlen(open)) < 0 || pen_label(p, &label) < 0 || PEN_PUT(p, ">") < 0) {
        return FAILED;
    }
    pen_look_over(p);
    return TAKEN;
}

/* The items from here on are not shown. */
static int pen_rest(Pen *p, Py_ssize_t num_left, bool is_first, const char *close) {
    p->is_cut = true;
    if (WRITES(p)) {
        const char *before = close[0] == '>' ? " " : is_first ? "" : ", ";
        if (pen_put_count(p, before, num_left, close + (close[0] == ',')) < 0) return -1;
        pen_look_over(p);
    }
    p->num_muted++;
    return 0;
}

/* What a container opens with; `*close`: what it closes with, 48 characters at most. */
static int pen_open(Pen *p, const Parts *x, char *close) {
    const char *open = "", *end = ")";
    switch (x->kind) {
    case K_LIST: open = "["; end = "]"; break;
    case K_TUPLE: open = "("; end = x->size == 1 ? ",)" : ")"; break;
    case K_RANGE: open = "range("; break;
    case K_SLICE: open = "slice("; break;
    case K_DICT: open = "{"; end = "}"; break;
    case K_ORDERED_DICT:
        open = !x->size ? "OrderedDict(" : ORDERED_AS_PAIRS ? "OrderedDict([" : "OrderedDict({";
        end = !x->size ? ")" : ORDERED_AS_PAIRS ? "])" : "})";
        break;
    case K_KEYS: open = "dict_keys(["; end = "])"; break;
    case K_VALUES: open = "dict_values(["; end = "])"; break;
    case K_ITEMS: open = "dict_items(["; end = "])"; break;
    case K_SET: open = x->size ? "{" : "set("; end = x->size ? "}" : ")"; break;
    case K_FROZENSET: open = x->size ? "frozenset({" : "frozenset("; end = x->size ? "})" : ")"; break;
    case K_DEQUE: open = "deque(["; end = "])"; break;
    case K_DEFAULTDICT: open = "defaultdict("; end = "})"; break;
    case K_INSTANCE: case K_ENUM: end = ">"; break;
    default: break;
    }
    strcpy(close, end);
    if (x->kind == K_DEQUE && ((Deque *)x->value)->max_len >= 0)
        sprintf(close, "], maxlen=%zd)", ((Deque *)x->value)->max_len);
    if (!WRITES(p)) {
        if (!open[0]) hash_form(p, x->form);
        else p->hash = mix(p->hash, x->kind);
        p->hash = mix(p->hash, (uint64_t)x->size);
        if (x->kind == K_DEQUE) p->hash = mix(p->hash, mark_of(x));
        return x->kind == K_DEFAULTDICT || x->kind == K_ENUM ? hash_label(p, &x->label) : 0;
    }
    if (open[0] ? pen_put(p, open, strlen(open)) < 0 : pen_put_class(p, x->form) < 0) return -1;
    if (x->kind == K_ENUM) return pen_label(p, &x->label) < 0 ? -1 : PEN_PUT(p, ": ");
    if (x->kind != K_DEFAULTDICT) return 0;
    if (x->is_wrapped && PEN_PUT(p, "<") < 0) return -1;
    if (pen_label(p, &x->label) < 0) return -1;
    return x->is_wrapped ? PEN_PUT(p, ">, {") : PEN_PUT(p, ", {");
}

static int pen_parts(Pen *p, Parts *x, int level);

/* The builtin value that an instance of its subclass is. */
static int pen_base(Pen *p, const Form *form, PyObject *value, int level) {
    if (WRITES(p) && PEN_PUT(p, " ") < 0) return FAILED;
    p->t->above[level] = NULL;
    if (!IS_ATOM(form->base)) {
        Parts base;
        return parts_of(p->t->engine, &base, form->base, form, value) ? pen_parts(p, &base, level) : NOT_OURS;
    }
    uint64_t word = base_word(form->base, value);
    if (keep_word(p, word) < 0) return FAILED;
    if (!WRITES(p)) {
        p->hash = mix(p->hash, word);
        return TAKEN;
    }
    PyTypeObject *type = form->base == K_INT ? &PyLong_Type : form->base == K_STR ? &PyUnicode_Type
        : form->base == K_FLOAT ? &PyFloat_Type : &PyBytes_Type;
    quiet(p->t);
    PyObject *text = type->tp_repr(value);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) return FAILED;
        PyErr_Clear(); /* an integer past the interpreter's digit limit */
        return NOT_OURS;
    }
    int done = pen_put_str(p, text);
    Py_DECREF(text);
    pen_look_over(p);
    return done < 0 ? FAILED : TAKEN;
}

/* Two items as a tuple that the program never sees. */
static int pen_pair(Pen *p, PyObject *key, PyObject *item, int level) {
    PyObject *items[2] = {key, item};
    Parts pair;
    pair.kind = K_TUPLE;
    pair.size = 2;
    pair.pos = 0;
    pair.items = items;
    p->t->above[level] = NULL;
    return level < MAX_LEVEL ? pen_parts(p, &pair, level) : NOT_OURS;
}

static int pen_name(Pen *p, const Parts *x, PyObject *name, bool is_first) { /* of an attribute */
    if (!WRITES(p)) {
        p->hash = mix(p->hash, (uint64_t)PyObject_Hash(name));
        return 0;
    }
    const char *before = x->kind == K_INSTANCE ? " " : is_first ? "" : ", ";
    return pen_put(p, before, strlen(before)) < 0 || pen_put_str(p, name) < 0 ? -1 : PEN_PUT(p, "=");
}

static int pen_parts(Pen *p, Parts *x, int level) {
    Thread *t = p->t;
    Engine *e = t->engine;
    const Kind kind = x->kind;
    const Py_ssize_t size = x->size, begin = t->words.len;
    if (p->keeps && begin + size > LARGE_WORDS && !p->has_visits) return LARGE;
    if (keep_word(p, HEAD(kind, size)) < 0) return FAILED;
    if (HAS_LABEL(kind) && keep_label(p, &x->label, mark_of(x)) < 0) return FAILED;
    char close[48];
    if (pen_open(p, x, close) < 0) return FAILED;
    const bool is_deep = level >= e->max_depth && size && IS_COUNTED(kind);
    const Py_ssize_t limit = is_deep || !IS_COUNTED(kind) || size <= e->max_items ? size : e->max_items;
    if (is_deep && pen_rest(p, size, true, close) < 0) return FAILED;
    if (kind == K_INSTANCE && x->form->base != K_UNKNOWN) {
        int done = pen_base(p, x->form, x->value, level + 1);
        if (done != TAKEN) return done;
    }
    const bool is_named = kind == K_INSTANCE || kind == K_NAMED_TUPLE || kind == K_DATACLASS;
    const bool has_pairs = HAS_PAIRS(kind), has_keys = HAS_KEYS(kind);
    PyObject *key, *item;
    Py_ssize_t i = 0;
    for (;; i++) {
        int found = parts_next(x, &key, &item);
        if (found == NOT_OURS) return NOT_OURS;
        if (found == ENDED) break;
        if (i == limit && pen_rest(p, size - limit, limit == 0, close) < 0) return FAILED;
        if (!p->keeps && !WRITES(p)) break; /* nothing more of it is wanted */
        if (kind == K_INSTANCE && (keep_word(p, (uintptr_t)key) < 0 || keep_ref(p, key) < 0)) return FAILED;
        if (is_named) {
            if (pen_name(p, x, key, i == 0) < 0) return FAILED;
        } else if (i && WRITES(p) && PEN_PUT(p, ", ") < 0) {
            return FAILED;
        }
        if (has_pairs) {
            int done = pen_pair(p, key, item, level + 1);
            if (done != TAKEN) return done;
            continue;
        }
        if (has_keys) {
            int done = pen_value(p, key, level + 1);
            if (done != TAKEN) return done;
            if (WRITES(p) && PEN_PUT(p, ": ") < 0) return FAILED;
        }
        int done = pen_value(p, item, level + 1);
        if (done != TAKEN) return done;
    }
    if (p->keeps && IS_ARRAY(kind) && t->words.len - begin == size + 1) t->words.data[begin] |= 1;
    if (is_deep || limit < size) {
        p->num_muted -= is_deep || i >= limit;
    } else if (WRITES(p)) {
        if (pen_put(p, close, strlen(close)) < 0) return FAILED;
        pen_look_over(p);
    }
    return TAKEN;
}

static int pen_container(Pen *p, Class *cls, PyObject *value, int level) {
    Thread *t = p->t;
    if (level >= MAX_LEVEL || cls->kind == K_OTHER || !has_room(t, level)) return NOT_OURS;
    if (!IS_CONTAINER(cls->kind)) {
        if (level && keep_word(p, BELOW) < 0) return FAILED;
        return pen_leaf(p, cls, value);
    }
    const bool keeps = p->keeps;
    bool is_first = true;
    if (!p->has_visits) {
        for (int k = 0; k < level; k++)
            if (t->above[k] == value) return pen_again(p, cls, level, k);
        if (level >= MAX_LEVEL / 10) return keeps ? LARGE : NOT_OURS;
    } else {
        Visit *found;
        int done = visit(&t->visits, value, level, &found);
        if (done < 0) return FAILED;
        if (done == 0 && found->level < level && t->above[found->level] == value)
            return pen_again(p, cls, level, found->level);
        is_first = done == 1;
        if (!is_first) {
            found->level = level;
            if (keep_word(p, (uintptr_t)found->index << 2 | SHARED) < 0) return FAILED;
            p->hash = mix(p->hash, 0x5A5A + (uint64_t)found->index);
            if (!WRITES(p)) return TAKEN;
            p->keeps = false; /* shown again, known already */
        } else if (t->visits.num > MAX_VISITS && p->keeps) {
            p->is_partial = true;
            p->keeps = false;
        }
    }
    Parts parts;
    if (is_renamed(cls->type, cls->form) || !parts_of(t->engine, &parts, cls->kind, cls->form, value)) return NOT_OURS;
    t->above[level] = value;
    if ((level && keep_word(p, BELOW) < 0) || keep_word(p, (uintptr_t)cls->type) < 0) return FAILED;
    int done = pen_parts(p, &parts, level);
    if (!is_first) p->keeps = keeps && !p->is_partial;
    return done;
}

/* End a text that is too long. */
static int pen_cut(Pen *p) {
    Buf *b = p->out;
    Py_ssize_t at = p->start + p->max_chars;
    if (p->num_chars != b->len - p->start) {
        Py_ssize_t chars = 0;
        for (at = p->start; at < b->len && chars < p->max_chars; chars++) {
            if (b->data[at] == '\\') at += b->data[at + 1] == 'u' ? 6 : 2;
            else at++;
            while (at < b->len && (b->data[at] & 0xC0) == 0x80) at++;
        }
    }
    p->hash = hash_of(p->hash, b->data + at, b->len - at);
    b->len = at;
    p->is_cut = true;
    return PUT(b, "...");
}

/* -- what a value looks like now ---------------------------------------------------------------------------------- */

typedef enum { SAME, CHANGED, ERROR } Look;

static void seen_clear(Seen *s) {
    Py_CLEAR(s->ref);
    Py_CLEAR(s->other);
    refs_clear(&s->refs);
    s->words.len = 0;
    if (s->words.cap > MAX_WORDS / 8) { /* once was large */
        PyMem_RawFree(s->words.data);
        PyMem_RawFree(s->refs.data);
        s->words = s->refs = (Words){NULL, 0, 0};
    }
    s->is_shown = s->is_cut = s->has_hash = s->has_words = false;
}

/* Put the new text, in `t->json`, in place. SAME where the uncut one is the one that was there. */
static Look seen_text(Thread *t, Seen *s, bool is_cut, uint64_t hash, bool has_hash) {
    bool same = s->is_shown && s->is_cut == is_cut && s->text.len == t->json.len &&
                !memcmp(s->text.data, t->json.data, t->json.len);
    if (same && is_cut) same = has_hash && s->has_hash && s->hash == hash;
    s->is_shown = true;
    s->is_cut = is_cut;
    s->has_hash = has_hash;
    s->hash = hash;
    if (same) return SAME;
    Buf old = s->text;
    s->text = t->json;
    t->json = old;
    return CHANGED;
}

static Look look_other(Thread *t, PyObject *value, Seen *s) {
    Engine *e = t->engine;
    step_out(t);
    PyObject *found = PyObject_CallMethod(e->writer, "look", "OO", value, s->other ? s->other : Py_None);
    if (found == NULL) return ERROR;
    if (found == s->other) { Py_DECREF(found); return SAME; }
    PyObject *key = PyTuple_GET_ITEM(found, 1), *text = PyTuple_GET_ITEM(found, 2);
    int same = 0;
    if (s->other != NULL) {
        same = PyObject_RichCompareBool(PyTuple_GET_ITEM(s->other, 1), key, Py_EQ);
        if (same < 0) { Py_DECREF(found); return ERROR; }
    }
    bool had_other = s->other != NULL, is_cut = PyObject_IsTrue(PyTuple_GET_ITEM(found, 3));
    Py_CLEAR(s->ref);
    refs_clear(&s->refs);
    s->words.len = 0;
    s->has_words = false;
    Pen pen = {t, &t->json, 0, 0, PY_SSIZE_T_MAX};
    t->json.len = 0;
    if (PUT(&t->json, "\"") < 0 || pen_put_str(&pen, text) < 0 || PUT(&t->json, "\"") < 0) {
        Py_DECREF(found);
        return ERROR;
    }
    Look look = seen_text(t, s, is_cut, 0, false);
    Py_XSETREF(s->other, found);
    return had_other ? (same ? SAME : CHANGED) : look;
}

/* The text of an atom, in quotes. NOT_OURS: an integer past the interpreter's digit limit. */
static int write_atom(Pen *p, Class *cls, PyObject *value) {
    if (PUT(p->out, "\"") < 0) return FAILED;
    p->start = p->out->len;
    if (pen_atom(p, cls, value) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) return FAILED;
        PyErr_Clear();
        return NOT_OURS;
    }
    if (!p->is_cut && p->num_chars > p->max_chars && pen_cut(p) < 0) return FAILED;
    return PUT(p->out, "\"") < 0 ? FAILED : TAKEN;
}

/* The same of any value; a class that was never met is described first. */
static int write_value(Pen *p, Class *cls, PyObject *value) {
    Thread *t = p->t;
    Engine *e = t->engine;
    if (IS_ATOM(cls->kind)) return write_atom(p, cls, value);
    if (e->is_repr || cls->kind == K_OTHER) return NOT_OURS;
    const Pen fresh = *p;
    const Py_ssize_t begin = p->out->len;
    int done = UNKNOWN;
    bool has_visits = false;
    for (int round = 0; (done == UNKNOWN || done == LARGE) && round < MAX_ROUNDS; round++) {
        has_visits |= done == LARGE;
        if (done == UNKNOWN && round) {
            if (class_of(t, (PyTypeObject *)t->unknown) == NULL) return FAILED;
            cls = class_of(t, Py_TYPE(value)); /* the table may have moved */
            if (cls == NULL) return FAILED;
        }
        *p = fresh;
        p->has_visits = has_visits;
        if (has_visits) visits_begin(&t->visits);
        p->out->len = begin;
        t->words.len = 0;
        refs_clear(&t->refs);
        if (PUT(p->out, "\"") < 0) return FAILED;
        p->start = p->out->len;
        done = pen_container(p, cls, value, 0);
    }
    Py_CLEAR(t->unknown);
    if (done == FAILED) return FAILED;
    if (done != TAKEN) {
        refs_clear(&t->refs);
        return NOT_OURS;
    }
    if (p->num_chars > p->max_chars && pen_cut(p) < 0) return FAILED;
    return PUT(p->out, "\"") < 0 ? FAILED : TAKEN;
}

static Look look_now(Thread *t, PyObject *value, Seen *s) {
    Engine *e = t->engine;
    Class *cls = class_of(t, Py_TYPE(value));
    if (cls == NULL) return ERROR;
    Pen pen = {t, &t->json, 0, 0, e->max_chars};
    t->json.len = 0;
    if (IS_ATOM(cls->kind)) {
        int done = write_atom(&pen, cls, value);
        if (done != TAKEN) return done == FAILED ? ERROR : look_other(t, value, s);
        if (s->other) Py_CLEAR(s->other);
        if (s->has_words) {
            refs_clear(&s->refs);
            s->has_words = false;
        }
        Look found = seen_text(t, s, pen.is_cut, pen.hash, true);
        Py_INCREF(value);
        Py_XSETREF(s->ref, value);
        return found;
    }
    if (s->has_words) {
        Py_ssize_t at = 0;
        t->has_visits = s->has_visits;
        t->is_partial = s->is_partial;
        if (s->has_visits) visits_begin(&t->visits);
        if (still(t, &s->words, &at, value, 0) && (s->is_partial || at == s->words.len)) return SAME;
    }
    pen.keeps = true;
    int done = write_value(&pen, cls, value);
    if (done != TAKEN) {
        refs_clear(&t->refs);
        return done == FAILED ? ERROR : look_other(t, value, s);
    }
    Words words = s->words, refs = s->refs;
    s->words = t->words;
    s->refs = t->refs;
    t->words = words;
    t->refs = refs;
    Look found = seen_text(t, s, pen.is_cut, pen.hash, true);
    s->has_words = true;
    s->has_visits = pen.has_visits;
    s->is_partial = pen.is_partial;
    refs_clear(&t->refs);
    Py_CLEAR(s->ref);
    Py_CLEAR(s->other);
    return found;
}

static inline Look look(Thread *t, PyObject *value, Seen *s) {
    Py_INCREF(value); /* another thread may take it out of a closure's cell meanwhile */
    Look found = look_now(t, value, s);
    Py_DECREF(value);
    return found;
}

/* -- frames ------------------------------------------------------------------------------------------------------- */

static int tape_odd(Thread *t, Py_ssize_t start) {
    /* JSON cannot hold lone surrogates in UTF-8: such a frame is all ASCII. */
    const unsigned char *data = (const unsigned char *)t->tape.data;
    bool found = false;
    for (Py_ssize_t i = start; i + 1 < t->tape.len && !found; i++) found = data[i] == 0xED && data[i + 1] >= 0xA0;
    if (!found) return 0;
    PyObject *text = PyUnicode_DecodeUTF8(t->tape.data + start, t->tape.len - start, "surrogatepass");
    if (text == NULL) return -1;
    t->tape.len = start;
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(text); i++) {
        char escaped[16];
        Py_UCS4 c = PyUnicode_READ_CHAR(text, i);
        int len = c < 0x80 ? (escaped[0] = c, 1)
            : c < 0x10000 ? sprintf(escaped, "\\u%04x", c)
            : sprintf(escaped, "\\u%04x\\u%04x", 0xD7C0 + (c >> 10), 0xDC00 + (c & 0x3FF));
        if (buf_put(&t->tape, escaped, len) < 0) { Py_DECREF(text); return -1; }
    }
    Py_DECREF(text);
    return 0;
}

/* To a few milliseconds where the system has a clock that is cheap to read: it is asked at every frame. */
#ifdef CLOCK_MONOTONIC_COARSE
#define CLOCK CLOCK_MONOTONIC_COARSE
#else
#define CLOCK CLOCK_MONOTONIC
#endif

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* The frame that was written from `start` on is kept, or the budget is spent: then BudgetStop may be raised (-1).
   A comma stands before all frames but the first. */
static int tape_end(Thread *t, Py_ssize_t start) {
    Engine *e = t->engine;
    if (t->is_odd && tape_odd(t, start) < 0) return -1;
    long long size = t->tape.len - start - (t->ends.len != 0);
    if (!e->is_spent && e->num_frames < e->max_frames && e->num_bytes + size <= e->max_bytes &&
        (e->deadline == 0 || now() <= e->deadline)) {
        e->num_frames++;
        e->num_bytes += size;
        return words_put(&t->ends, t->tape.len);
    }
    e->is_spent = true;
    t->tape.len = start;
    step_out(t);
    PyObject *done = PyObject_CallMethod(e->owner, "over_budget", NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static const char LINE[] = "line";

static PyObject *new_place(Thread *t, Code *c, int line);

static inline PyObject *place_of(Thread *t, Code *c, int line) {
    int index = line - c->first_line;
    if (index >= 0 && index < c->num_lines && c->places[index] != NULL && !c->is_odd) return c->places[index];
    return new_place(t, c, line);
}

static PyObject *new_place(Thread *t, Code *c, int line) {
    step_out(t);
    int index = line - c->first_line;
    if (index < 0 || index >= c->num_lines) {
        int first = c->num_lines == 0 || line < c->first_line ? line : c->first_line;
        int last = c->num_lines == 0 || line >= c->first_line + c->num_lines ? line : c->first_line + c->num_lines - 1;
        PyObject **places = PyMem_RawCalloc(last - first + 1 + 16, sizeof *places);
        if (places == NULL) return PyErr_NoMemory();
        for (int i = 0; i < c->num_lines; i++) places[c->first_line - first + i] = c->places[i];
        PyMem_RawFree(c->places);
        c->places = places;
        c->first_line = first;
        c->num_lines = last - first + 1 + 16;
        index = line - first;
    }
    if (c->places[index] == NULL) {
        PyObject *text = PyObject_CallMethod(c->info, "place", "i", line);
        if (text == NULL) return NULL;
        PyObject *place = utf8_of(text, &c->is_odd);
        Py_DECREF(text);
        index = line - c->first_line; /* another thread may have been here meanwhile */
        if (c->places[index] == NULL) c->places[index] = place;
        else Py_XDECREF(place);
    }
    t->is_odd |= c->is_odd;
    return c->places[index];
}

/* A frame begins, up to its place. */
static int put_head(Thread *t, const char *event, const char *cause, int depth, Code *c, int line) {
    PyObject *place = place_of(t, c, line);
    if (place == NULL) return -1;
    Buf *b = &t->tape;
    Py_ssize_t len = PyBytes_GET_SIZE(place);
    if (buf_room(b, len + 128) < 0) return -1;
    char *out = b->data + b->len;
#define OUT(literal) (memcpy(out, literal, sizeof(literal) - 1), out += sizeof(literal) - 1)
    if (t->ends.len) *out++ = ',';
    if (event == LINE) {
        OUT("{\"event\":\"line\",\"depth\":");
    } else {
        OUT("{\"event\":\"");
        out = stpcpy(out, event);
        if (cause != NULL) {
            OUT("\",\"cause\":\"");
            out = stpcpy(out, cause);
        }
        OUT("\",\"depth\":");
    }
#undef OUT
    out = digits_of(depth, out);
    *out++ = ',';
    memcpy(out, PyBytes_AS_STRING(place), len);
    b->len = out + len - b->data;
    return 0;
}

/* -- locals ------------------------------------------------------------------------------------------------------- */

/* Borrowed; NULL where the name is not bound. */
static inline PyObject *slot_value(IFrame *frame, PyCodeObject *code, const Name *name, bool has_started) {
    PyObject *value = frame->localsplus[name->slot];
    if (!(name->kind & (CO_FAST_FREE | CO_FAST_CELL))) return value;
    if (name->kind & CO_FAST_FREE) {
        if (value == NULL) {
#if PY_VERSION_HEX < 0x030C0000
            PyObject *function = (PyObject *)frame->f_func;
#else
            PyObject *function = frame->f_funcobj;
#endif
            /* not copied yet at the first event of a call */
            if (function == NULL || !PyFunction_Check(function)) return NULL;
            PyObject *closure = ((PyFunctionObject *)function)->func_closure;
            Py_ssize_t at = name->slot - (code->co_nlocalsplus - code->co_nfreevars);
            if (closure == NULL || at < 0 || at >= PyTuple_GET_SIZE(closure)) return NULL;
            value = PyTuple_GET_ITEM(closure, at);
        }
        return PyCell_Check(value) ? PyCell_GET(value) : value;
    }
    if (name->kind & CO_FAST_CELL && value != NULL && has_started && PyCell_Check(value)) return PyCell_GET(value);
    return value;
}

static int put_names(Thread *t, Activation *a, bool is_full) {
    step_out(t);
    PyFrameObject *py_frame = PyEval_GetFrame();
    PyObject *names = PyObject_CallMethod(a->helper, "locals_json", "OO", py_frame, is_full ? Py_True : Py_False);
    if (names == NULL) return -1;
    PyObject *bytes = utf8_of(names, &t->is_odd);
    Py_DECREF(names);
    if (bytes == NULL) return -1;
    int done = buf_put(&t->tape, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return done;
}

static int put_name(Buf *b, PyObject *label) { /* a label without its colon */
    return buf_put(b, PyBytes_AS_STRING(label), PyBytes_GET_SIZE(label) - 1);
}

static int put_removed(Thread *t, Activation *a, bool has_started) {
    Code *c = a->code;
    bool is_first = true;
    for (int i = 0; i < c->num_names; i++) {
        Seen *s = &a->seen[i];
        if (!s->is_shown || slot_value(a->frame, c->code, &c->names[i], has_started) != NULL) continue;
        seen_clear(s);
        if ((!is_first && PUT(&t->tape, ",") < 0) || put_name(&t->tape, c->names[i].label) < 0) return -1;
        is_first = false;
    }
    return 0;
}

static int put_order(Thread *t, Activation *a) {
    Code *c = a->code;
    bool is_first = true;
    if (PUT(&t->tape, ",\"order\":[") < 0) return -1;
    for (int i = 0; i < c->num_names; i++) {
        if (!a->seen[i].is_shown) continue;
        if ((!is_first && PUT(&t->tape, ",") < 0) || put_name(&t->tape, c->names[i].label) < 0) return -1;
        is_first = false;
    }
    return PUT(&t->tape, "]");
}

/* The rest of a frame with locals. */
static int put_locals(Thread *t, Activation *a, bool is_full, bool has_started) {
    Code *c = a->code;
    Buf *b = &t->tape;
    if (!c->is_function) return put_names(t, a, is_full) < 0 ? -1 : PUT(b, "}");
    bool has_new = false, is_reordered = false;
    int num_removed = 0;
    if (PUT(b, ",\"locals\":{\"set\":{") < 0) return -1;
    const Py_ssize_t begin = b->len;
    for (int i = 0; i < c->num_names; i++) {
        Seen *s = &a->seen[i];
        PyObject *value = slot_value(a->frame, c->code, &c->names[i], has_started);
        if (value == NULL) {
            num_removed += s->is_shown;
            continue;
        }
        if (!s->is_shown) {
            has_new = true;
            if (look(t, value, s) == ERROR) return -1;
        } else {
            is_reordered |= has_new;
            if (value == s->ref) {
                if (!is_full) continue;
            } else {
                Look found = look(t, value, s);
                if (found == ERROR) return -1;
                if (found == SAME && !is_full) continue;
            }
        }
        PyObject *label = c->names[i].label;
        Py_ssize_t len = PyBytes_GET_SIZE(label);
        if (buf_room(b, len + s->text.len + 1) < 0) return -1;
        char *out = b->data + b->len;
        if (b->len != begin) *out++ = ',';
        memcpy(out, PyBytes_AS_STRING(label), len);
        memcpy(out + len, s->text.data, s->text.len);
        b->len = out + len + s->text.len - b->data;
        t->num_cut += s->is_cut;
    }
    is_reordered &= !is_full;
    if (!num_removed && !is_reordered) return PUT(b, "},\"removed\":[]}}");
    if (PUT(b, "},\"removed\":[") < 0) return -1;
    if ((num_removed && put_removed(t, a, has_started) < 0) || PUT(b, "]") < 0) return -1;
    if (is_reordered && put_order(t, a) < 0) return -1;
    return PUT(b, "}}");
}

/* `,"value":"..."` of a value that is shown once. */
static int put_value(Thread *t, PyObject *value) {
    if (PUT(&t->tape, ",\"value\":") < 0) return -1;
    Class *cls = class_of(t, Py_TYPE(value));
    if (cls == NULL) return -1;
    Py_ssize_t begin = t->tape.len;
    Pen pen = {t, &t->tape, 0, 0, t->engine->max_chars};
    int done = write_value(&pen, cls, value);
    if (done == FAILED) return -1;
    if (done == TAKEN) {
        t->num_cut += pen.is_cut;
        return 0;
    }
    t->tape.len = begin;
    Seen once;
    memset(&once, 0, sizeof once);
    done = look_other(t, value, &once) == ERROR ? -1 : buf_put(&t->tape, once.text.data, once.text.len);
    t->num_cut += once.is_cut;
    seen_clear(&once);
    PyMem_RawFree(once.text.data);
    return done;
}

/* -- code objects ------------------------------------------------------------------------------------------------- */

static Code **codes_slot(Codes *codes, PyCodeObject *code) {
    Py_ssize_t i = ((uintptr_t)code >> 4) & codes->mask;
    while (codes->table[i] != NULL && codes->table[i]->code != code) i = (i + 1) & codes->mask;
    return &codes->table[i];
}

static int codes_grow(Codes *codes) {
    Py_ssize_t mask = codes->mask ? 2 * codes->mask + 1 : 127, old_mask = codes->mask;
    Code **table = PyMem_RawCalloc(mask + 1, sizeof *table), **old = codes->table;
    if (table == NULL) { PyErr_NoMemory(); return -1; }
    codes->table = table;
    codes->mask = mask;
    for (Py_ssize_t i = 0; old && i <= old_mask; i++)
        if (old[i]) *codes_slot(codes, old[i]->code) = old[i];
    PyMem_RawFree(old);
    return 0;
}

static int int_attr(PyObject *from, const char *name, int *into) {
    PyObject *value = PyObject_GetAttrString(from, name);
    if (value == NULL) return -1;
    long number = PyBool_Check(value) ? value == Py_True : PyLong_AsLong(value);
    Py_DECREF(value);
    *into = (int)number;
    return number == -1 && PyErr_Occurred() ? -1 : 0;
}

static int code_names(Code *c, PyObject *info) {
    PyObject *names = PyObject_GetAttrString(info, "names");
    if (names == NULL) return -1;
    c->num_names = (int)PyTuple_GET_SIZE(names);
    c->names = PyMem_RawCalloc(c->num_names + 1, sizeof *c->names);
    if (c->names == NULL) { Py_DECREF(names); PyErr_NoMemory(); return -1; }
    int slot = 0;
    for (int i = 0; i < c->num_names; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        while (slot < c->code->co_nlocalsplus && PyTuple_GET_ITEM(c->code->co_localsplusnames, slot) != name &&
               PyUnicode_Compare(PyTuple_GET_ITEM(c->code->co_localsplusnames, slot), name) != 0)
            slot++;
        if (slot == c->code->co_nlocalsplus) {
            Py_DECREF(names);
            PyErr_SetString(PyExc_SystemError, "names are not in the order of the frame's slots");
            return -1;
        }
        c->names[i].slot = slot;
        c->names[i].kind = PyBytes_AS_STRING(c->code->co_localspluskinds)[slot];
        PyObject *bytes = PyUnicode_AsUTF8String(name);
        if (bytes == NULL) { Py_DECREF(names); return -1; }
        c->names[i].label = PyBytes_FromFormat("\"%s\":", PyBytes_AS_STRING(bytes));
        Py_DECREF(bytes);
        if (c->names[i].label == NULL) { Py_DECREF(names); return -1; }
        slot++;
    }
    Py_DECREF(names);
    return 0;
}

static int code_folds(Code *c, PyObject *info) {
    PyObject *folds = PyObject_GetAttrString(info, "folds");
    if (folds == NULL) return -1;
    if (folds == Py_None) { Py_DECREF(folds); return 0; }
    PyObject *inside = PyObject_GetAttrString(folds, "inside"), *starts = PyObject_GetAttrString(folds, "starts");
    PyObject *lines = PyObject_GetAttrString(folds, "first_line");
    int done = -1;
    if (inside && starts && lines) {
        Py_ssize_t num = c->num_code / 2 + 1;
        c->fold_inside = PyMem_RawMalloc(num * sizeof *c->fold_inside);
        c->fold_starts = PyMem_RawCalloc(num, 1);
        c->fold_lines = PyMem_RawCalloc(PyList_GET_SIZE(lines) + 1, sizeof *c->fold_lines);
        if (!c->fold_inside || !c->fold_starts || !c->fold_lines) { PyErr_NoMemory(); goto end; }
        for (Py_ssize_t i = 0; i < num; i++) c->fold_inside[i] = -1;
        PyObject *key, *value;
        Py_ssize_t pos = 0;
        Py_hash_t hash;
        while (PyDict_Next(inside, &pos, &key, &value))
            c->fold_inside[PyLong_AsLong(key) / 2] = (int32_t)PyLong_AsLong(value);
        pos = 0;
        while (_PySet_NextEntry(starts, &pos, &key, &hash)) c->fold_starts[PyLong_AsLong(key) / 2] = 1;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(lines); i++)
            c->fold_lines[i] = (int)PyLong_AsLong(PyList_GET_ITEM(lines, i));
        c->jump_targets = PyObject_GetAttrString(info, "jump_targets");
        done = c->jump_targets == NULL || PyErr_Occurred() ? -1 : 0;
    }
end:
    Py_XDECREF(inside);
    Py_XDECREF(starts);
    Py_XDECREF(lines);
    Py_DECREF(folds);
    return done;
}

static void activation_free(Activation *a) {
    for (int i = 0; i < a->code->num_names; i++) {
        Seen *s = &a->seen[i];
        seen_clear(s);
        PyMem_RawFree(s->text.data);
        PyMem_RawFree(s->words.data);
        PyMem_RawFree(s->refs.data);
    }
    Py_XDECREF(a->helper);
    PyMem_RawFree(a->seen);
    PyMem_RawFree(a);
}

static void code_free(Code *c) {
    while (c->idle) {
        Activation *a = c->idle;
        c->idle = a->next;
        activation_free(a);
    }
    for (int i = 0; c->names && i < c->num_names; i++) Py_XDECREF(c->names[i].label);
    for (int i = 0; i < c->num_lines; i++) Py_XDECREF(c->places[i]);
    PyMem_RawFree(c->names);
    PyMem_RawFree(c->places);
    PyMem_RawFree(c->lines);
    PyMem_RawFree(c->fold_inside);
    PyMem_RawFree(c->fold_starts);
    PyMem_RawFree(c->fold_lines);
    Py_XDECREF(c->jump_targets);
    Py_XDECREF(c->info);
    Py_DECREF(c->code);
    PyMem_RawFree(c);
}

static Code *code_new(Engine *e, PyCodeObject *code) {
    Codes *codes = e->codes;
    PyObject *info = PyObject_CallMethod(e->scope, "info_of", "O", code);
    if (info == NULL) return NULL;
    Code *c = PyMem_RawCalloc(1, sizeof *c);
    if (c == NULL) { Py_DECREF(info); return (Code *)PyErr_NoMemory(); }
    Py_INCREF(code);
    c->code = code;
    if (info == Py_None) {
        Py_DECREF(info);
    } else {
        int is_function = 0, can_suspend = 0, is_coroutine = 0, is_async_generator = 0;
        c->info = info;
        PyObject *bytes = PyObject_GetAttrString(info, "co_code"); /* kept by info */
        if (bytes == NULL || int_attr(info, "is_function", &is_function) < 0 ||
            int_attr(info, "can_suspend", &can_suspend) < 0 || int_attr(info, "is_coroutine", &is_coroutine) < 0 ||
            int_attr(info, "is_async_generator", &is_async_generator) < 0 ||
            int_attr(info, "call_line", &c->call_line) < 0) {
            Py_XDECREF(bytes);
            code_free(c);
            return NULL;
        }
        c->co_code = (const unsigned char *)PyBytes_AS_STRING(bytes);
        c->num_code = PyBytes_GET_SIZE(bytes);
        Py_DECREF(bytes);
        c->is_function = is_function;
        c->can_suspend = can_suspend;
        c->is_coroutine = is_coroutine;
        c->is_async_generator = is_async_generator;
        if ((c->is_function && code_names(c, info) < 0) || code_folds(c, info) < 0) {
            code_free(c);
            return NULL;
        }
    }
    if (2 * (codes->num + 1) > codes->mask && codes_grow(codes) < 0) { code_free(c); return NULL; }
    if (*codes_slot(codes, code) != NULL) { /* another thread was here meanwhile */
        code_free(c);
        return *codes_slot(codes, code);
    }
    *codes_slot(codes, code) = c;
    codes->num++;
    return c;
}

/* NULL with an exception set on failure; `info` NULL in it where the code is out of scope. */
static inline Code *code_of(Thread *t, PyCodeObject *code) {
    Codes *codes = t->engine->codes;
    if (codes->table == NULL && codes_grow(codes) < 0) return NULL;
    Code *found = *codes_slot(codes, code);
    if (found != NULL) return found;
    step_out(t);
    return code_new(t->engine, code);
}

/* -- activations -------------------------------------------------------------------------------------------------- */

static Activation *push(Thread *t, Code *c, IFrame *frame) {
    Activation *a = c->idle;
    if (a != NULL) {
        c->idle = a->next;
    } else {
        a = PyMem_RawCalloc(1, sizeof *a);
        if (a == NULL) return (Activation *)PyErr_NoMemory();
        a->code = c;
        a->seen = PyMem_RawCalloc(c->num_names + 1, sizeof *a->seen);
        if (a->seen == NULL) { PyMem_RawFree(a); return (Activation *)PyErr_NoMemory(); }
    }
    if (t->height == t->room) {
        int room = t->room ? 2 * t->room : 32;
        Activation **stack = PyMem_RawRealloc(t->stack, room * sizeof *stack);
        if (stack == NULL) { activation_free(a); return (Activation *)PyErr_NoMemory(); }
        t->stack = stack;
        t->room = room;
    }
    a->frame = frame;
    a->depth = t->height;
    a->is_full_next = false;
    a->raised_at = -1;
    a->fold_inside = -1;
    a->fold_last = -1;
    a->fold_line = 0;
    a->fold_jumped = false;
    if (!c->is_function) {
        step_out(t);
        a->helper = PyObject_CallMethod(t->engine->owner, "names_of", "Oi", c->info, a->depth);
        if (a->helper == NULL) { activation_free(a); return NULL; }
    }
    t->stack[t->height++] = a;
    return a;
}

static void leave(Activation *a) {
    for (int i = 0; i < a->code->num_names; i++)
        if (a->seen[i].is_shown) seen_clear(&a->seen[i]);
    Py_CLEAR(a->helper);
    a->frame = NULL;
    a->next = a->code->idle;
    a->code->idle = a;
}

/* Everything from this activation on is over. */
static void pop(Thread *t, Activation *a) {
    while (t->height > 0) {
        Activation *top = t->stack[--t->height];
        bool is_it = top == a;
        leave(top);
        if (is_it) break;
    }
    if (t->height && t->engine->full_after_return) t->stack[t->height - 1]->is_full_next = true;
}

static inline bool is_of(const Activation *a, const Place *at) {
    return a->frame == at->frame && a->code->code == at->code; /* the memory of a frame is used again */
}

static Activation *activation_of(Thread *t, const Place *at) {
    for (int i = t->height - 1; i >= 0; i--)
        if (is_of(t->stack[i], at)) return t->stack[i];
    return NULL;
}

/* -- folding: folding.py's Folding -------------------------------------------------------------------------------- */

static void fold_show(Activation *a, int line) {
    a->fold_line = line;
    a->fold_jumped = false;
}

/* The line to show, or -1. */
static int fold_event(Activation *a, int offset, int line) {
    Code *c = a->code;
    int index = c->fold_inside[offset / 2];
    if (index >= 0 && !c->fold_starts[offset / 2]) {
        a->fold_inside = index;
        a->fold_last = offset;
        return -1;
    }
    bool is_jump = offset <= a->fold_last;
    a->fold_last = offset;
    a->fold_jumped |= is_jump;
    int left = a->fold_inside;
    a->fold_inside = index;
    if (index >= 0) {
        line = c->fold_lines[index];
        if (line == a->fold_line && !a->fold_jumped) return -1;
    } else if (left >= 0 && line == c->fold_lines[left] && !is_jump) {
        return -1;
    }
    fold_show(a, line);
    return line;
}

static bool fold_is_inside(Code *c, int offset) {
    return c->fold_inside != NULL && offset >= 0 && c->fold_inside[offset / 2] >= 0;
}

static int fold_line_at(Code *c, int offset, int line) {
    return fold_is_inside(c, offset) ? c->fold_lines[c->fold_inside[offset / 2]] : line;
}

/* -- events ------------------------------------------------------------------------------------------------------- */

static bool is_resumed(Engine *e, Code *c, int offset) {
    if (offset < 0) return false;
    int op = c->co_code[offset];
    return op == e->op_yield || (op == e->op_resume && (c->co_code[offset + 1] & 3) != 0);
}

static const char *return_cause(Engine *e, Code *c, int offset) {
    int op = offset >= 0 ? c->co_code[offset] : -1;
    for (int i = 0; i < e->num_returns; i++)
        if (op == e->op_returns[i]) return NULL;
    if (!c->can_suspend) return "unwind";
    int resume = op == e->op_resume ? offset : offset + 2; /* 3.13 has moved on to it already */
    if (op != e->op_yield && op != e->op_resume) return "unwind";
    if (c->co_code[resume] != e->op_resume || !(c->co_code[resume + 1] & 3)) return "unwind";
    return c->is_coroutine || (c->is_async_generator && (c->co_code[resume + 1] & 3) == 3) ? "await" : "yield";
}

static int line_at(Activation *a, const Place *at) {
    return fold_line_at(a->code, at->offset, at->line > 0 ? at->line : a->code->call_line);
}

static int on_call(Thread *t, const Place *at, Code *c) {
    Engine *e = t->engine;
    if (!e->has_entry) {
        e->has_entry = true;
        quiet(t);
        if (PyObject_SetAttrString(e->owner, "entry", c->info) < 0) return -1;
    }
    Activation *a = push(t, c, at->frame);
    if (a == NULL) return -1;
    int line = c->call_line;
    const char *cause = NULL;
    if (c->can_suspend && is_resumed(e, c, at->offset)) {
        cause = "resume";
        line = line_at(a, at);
    }
    if (c->fold_inside) fold_show(a, line);
    Py_ssize_t start = t->tape.len;
    if (put_head(t, "call", cause, a->depth, c, line) < 0) return -1;
    if (put_locals(t, a, true, at->offset >= 0) < 0) return -1;
    return tape_end(t, start);
}

/* 3.13 reports a backward jump within a line at the jump: the target's offset. */
static int target_of(Code *c, const Place *at) {
    if (c->jump_targets == NULL || !PyDict_GET_SIZE(c->jump_targets)) return at->offset;
    PyObject *key = PyLong_FromLong(at->offset);
    PyObject *target = key ? PyDict_GetItemWithError(c->jump_targets, key) : NULL;
    Py_XDECREF(key);
    if (target != NULL && PyLong_AsLong(PyTuple_GET_ITEM(target, 1)) == at->line)
        return (int)PyLong_AsLong(PyTuple_GET_ITEM(target, 0));
    return at->offset;
}

static int on_line(Thread *t, Activation *a, const Place *at) {
    Code *c = a->code;
    int line = at->line;
    a->raised_at = -1;
    if (c->fold_inside != NULL) {
        line = fold_event(a, target_of(c, at), line);
        if (PyErr_Occurred()) return -1;
        if (line < 0) return 0;
    }
    bool is_full = a->is_full_next;
    a->is_full_next = false;
    Py_ssize_t start = t->tape.len;
    if (put_head(t, LINE, NULL, a->depth, c, line) < 0) return -1;
    if (put_locals(t, a, is_full, true) < 0) return -1;
    return tape_end(t, start);
}

static int on_return(Thread *t, Activation *a, const Place *at, PyObject *value) {
    Engine *e = t->engine;
    Code *c = a->code;
    int line = line_at(a, at), depth = a->depth;
    const char *cause = at->offset == a->raised_at ? "unwind" : return_cause(e, c, at->offset);
    PyObject *shown = value == NULL || (cause && !strcmp(cause, "unwind")) ? Py_None : value;
    Py_INCREF(shown);
    if (c->is_async_generator && cause && !strcmp(cause, "yield")) {
        step_out(t);
        PyObject *inner = PyObject_CallMethod(e->owner, "unwrapped", "O", shown);
        if (inner == NULL) { Py_DECREF(shown); return -1; }
        Py_SETREF(shown, inner);
    }
    pop(t, a);
    Py_ssize_t start = t->tape.len;
    int done = put_head(t, "return", cause, depth, c, line);
    if (done == 0) done = put_value(t, shown);
    if (done == 0) done = PUT(&t->tape, "}");
    Py_DECREF(shown);
    return done < 0 ? -1 : tape_end(t, start);
}

static int on_exception(Thread *t, Activation *a, const Place *at, PyObject *exception) {
    Engine *e = t->engine;
    Code *c = a->code;
    a->raised_at = at->offset;
    if (fold_is_inside(c, at->offset)) { /* the end of an iterator inside a comprehension is none that leaves it */
        PyObject *kind = (PyObject *)Py_TYPE(exception);
        if (kind == PyExc_StopAsyncIteration) return 0;
        for (int i = 0; kind == PyExc_StopIteration && i < e->num_loops; i++)
            if (c->co_code[at->offset] == e->op_loops[i]) return 0;
    }
    int line = line_at(a, at);
    if (c->fold_inside) fold_show(a, line);
    Py_ssize_t start = t->tape.len;
    if (put_head(t, "exception", NULL, a->depth, c, line) < 0 || put_value(t, exception) < 0) return -1;
    return PUT(&t->tape, "}") < 0 ? -1 : tape_end(t, start);
}

/* A recorder that fails stops recording and leaves the program alone; only BudgetStop leaves us. */
static int ended(Thread *t, int done, Py_ssize_t start) {
    if (done >= 0) return 0;
    Engine *e = t->engine;
    if (e->is_spent && PyErr_ExceptionMatches(e->budget_stop)) return -1;
    t->tape.len = start;
    if (!PyErr_ExceptionMatches(PyExc_Exception)) { /* a signal's, KeyboardInterrupt for one: the program's own */
        t->was_displaced = true;
        return -1;
    }
    quiet(t);
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *result = PyObject_CallMethod(e->owner, "fail", "O", value ? value : Py_None);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (result == NULL && PyErr_ExceptionMatches(PyExc_ReferenceError)) { /* nobody waits for this recording any more */
        PyErr_Clear();
        t->is_live = false;
        return 0;
    }
    if (result == NULL) return -1;
    Py_DECREF(result);
    return 0;
}

/* What happens at a place, to whoever is told of it: the interpreter's trace function or `sys.monitoring`. 1: out of
   scope; -1: BudgetStop is raised in the program. */
static int on_event_now(Thread *t, const Place *at, int what, PyObject *arg) {
    Engine *e = t->engine;
    Py_ssize_t start = t->tape.len;
    if (what == PyTrace_CALL) {
        if (!t->is_live) return 0;
        Code *c = code_of(t, at->code);
        if (c != NULL && c->info == NULL) return 1;
        int height = t->height, done = ended(t, c == NULL ? -1 : on_call(t, at, c), start);
        if (done < 0 && t->height > height) pop(t, t->stack[height]); /* nobody tells us of its end */
        return done;
    }
    Activation *a = activation_of(t, at);
    if (a == NULL) return 1;
    if (!t->is_live) { /* a program that caught BudgetStop meets it again */
        if (what == PyTrace_RETURN) pop(t, a);
        if (!e->is_spent || !e->stops_program || what != PyTrace_LINE) return 0;
        PyErr_SetNone(e->budget_stop);
        return -1;
    }
    int done = what == PyTrace_LINE ? on_line(t, a, at)
        : what == PyTrace_RETURN ? on_return(t, a, at, arg) : on_exception(t, a, at, arg);
    return ended(t, done, start);
}

static int on_event(Thread *t, const Place *at, int what, PyObject *arg) {
    t->what = what;
    int done = on_event_now(t, at, what, arg);
    return came_back(t) ? -1 : done;
}

/* -- mechanism: the trace function -------------------------------------------------------------------------------- */

static inline Place place_in(PyFrameObject *py_frame) {
    IFrame *frame = py_frame->f_frame;
#if PY_VERSION_HEX < 0x030C0000
    int line = py_frame->f_lineno > 0 ? py_frame->f_lineno : PyFrame_GetLineNumber(py_frame);
    int at = _PyInterpreterFrame_LASTI(frame);
    return (Place){frame, frame->f_code, at < 0 ? -1 : at * (int)sizeof(_Py_CODEUNIT), line};
#else
    PyCodeObject *code = PyFrame_GetCode(py_frame);
    Py_DECREF(code); /* the frame holds it */
    return (Place){frame, code, PyFrame_GetLasti(py_frame), PyFrame_GetLineNumber(py_frame)};
#endif
}

static int trace(PyObject *self, PyFrameObject *py_frame, int what, PyObject *arg) {
    if (what != PyTrace_CALL && what != PyTrace_LINE && what != PyTrace_RETURN && what != PyTrace_EXCEPTION) return 0;
    Place at = place_in(py_frame);
    Py_INCREF(self); /* a signal's handler may take us off */
    int done = on_event((Thread *)self, &at, what, what == PyTrace_EXCEPTION ? PyTuple_GET_ITEM(arg, 1) : arg);
    Py_DECREF(self);
    if (done == 1 && what == PyTrace_CALL) py_frame->f_trace_lines = 0; /* no line events from there */
    return done < 0 ? -1 : 0;
}

/* -- mechanism: sys.monitoring ------------------------------------------------------------------------------------ */

#if PY_VERSION_HEX >= 0x030C0000

/* Borrowed; NULL: a thread that is not recorded, or an error. */
static inline Thread *thread_here(Engine *e, PyThreadState *state) {
    uint64_t id = state->id;
    if (e->last_id == id) return e->last_thread;
    Aside aside;
    step_aside(&aside);
    PyObject *found = PyObject_CallMethod(e->owner, "thread_here", "K", (unsigned long long)id);
    step_back(&aside);
    if (found == NULL) return NULL;
    e->last_id = id;
    e->last_thread = found == Py_None ? NULL : (Thread *)found;
    Py_DECREF(found); /* the owner holds it */
    return e->last_thread;
}

/* -1: the instruction has none. */
static int line_of(Code *c, int offset) {
    if (c->lines == NULL) c->lines = PyMem_RawCalloc(c->num_code / 2 + 1, sizeof *c->lines);
    if (c->lines == NULL || offset < 0) return PyCode_Addr2Line(c->code, offset);
    int *line = &c->lines[offset / 2];
    if (*line == 0) *line = PyCode_Addr2Line(c->code, offset);
    return *line;
}

static int monitored_now(Engine *e, Thread *t, PyThreadState *state, PyObject *code, int what, PyObject *arg,
                         int line) {
    IFrame *frame = _PyThreadState_GetFrame(state);
    Place at = {frame, (PyCodeObject *)code, _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT), line};
    if (what != PyTrace_CALL) {
        Activation *a = activation_of(t, &at);
        if (a == NULL) return 0;
        if (line < 0) at.line = line_of(a->code, at.offset);
    } else if (t->is_live) {
        Code *c = code_of(t, at.code);
        if (c != NULL && c->info == NULL) return 1;
        if (c != NULL && c->watched_by != e->serial) {
            c->watched_by = e->serial;
            step_out(t);
            PyObject *done = PyObject_CallMethod(e->owner, "watch", "O", code);
            if (done == NULL) c = NULL;
            Py_XDECREF(done);
        }
        if (c == NULL && ended(t, -1, t->tape.len) < 0) return -1;
        if (c != NULL && c->can_suspend) at.line = line_of(c, at.offset);
    }
    return on_event_now(t, &at, what, arg);
}

/* `line` -1: the one of the frame's instruction. Returns what the interpreter expects of a callback. The interpreter
   does not hold on to a callback that it calls: another thread may end the recording while Python code of ours runs. */
static inline PyObject *monitored(Engine *e, PyObject *code, int what, PyObject *arg, int line) {
    PyThreadState *state = PyThreadState_Get();
    PyObject *result = NULL;
    Py_INCREF(e);
    Thread *t = thread_here(e, state);
    if (t != NULL) {
        Py_INCREF(t);
        t->what = what;
        int done = monitored_now(e, t, state, code, what, arg, line);
        if (!came_back(t) && done >= 0) result = Py_NewRef(done == 1 && what == PyTrace_CALL ? e->disable : Py_None);
        Py_DECREF(t);
    } else if (!PyErr_Occurred()) {
        result = Py_NewRef(Py_None);
    }
    Py_DECREF(e);
    return result;
}

static PyObject *at_start(Engine *e, PyObject *const *args, Py_ssize_t num) {
    return monitored(e, args[0], PyTrace_CALL, NULL, -1);
}

static PyObject *at_throw(Engine *e, PyObject *const *args, Py_ssize_t num) { /* cannot be disabled */
    PyObject *disable = e->disable;
    PyObject *done = monitored(e, args[0], PyTrace_CALL, NULL, -1);
    if (done != disable) return done;
    Py_DECREF(done);
    Py_RETURN_NONE;
}

static PyObject *at_line(Engine *e, PyObject *const *args, Py_ssize_t num) {
    return monitored(e, args[0], PyTrace_LINE, NULL, (int)PyLong_AsLong(args[1]));
}

/* A backward jump within one line is a new round of it; all others meet a LINE event where they lead. */
static PyObject *at_jump(Engine *e, PyObject *const *args, Py_ssize_t num) {
    PyCodeObject *code = (PyCodeObject *)args[0];
    int from = (int)PyLong_AsLong(args[1]), to = (int)PyLong_AsLong(args[2]);
    int line = PyCode_Addr2Line(code, from);
    if (to > from || PyCode_Addr2Line(code, to) != line) return Py_NewRef(e->disable);
    return monitored(e, args[0], PyTrace_LINE, NULL, line);
}

static PyObject *at_return(Engine *e, PyObject *const *args, Py_ssize_t num) {
    return monitored(e, args[0], PyTrace_RETURN, args[2], -1);
}

static PyObject *at_unwind(Engine *e, PyObject *const *args, Py_ssize_t num) {
    return monitored(e, args[0], PyTrace_RETURN, NULL, -1);
}

static PyObject *at_exception(Engine *e, PyObject *const *args, Py_ssize_t num) {
    return monitored(e, args[0], PyTrace_EXCEPTION, args[2], -1);
}

#endif

/* -- Thread ------------------------------------------------------------------------------------------------------- */

static PyObject *thread_attach(Thread *t, PyObject *none) {
    t->id = PyThreadState_Get()->id;
    PyEval_SetTrace(trace, (PyObject *)t);
    Py_RETURN_NONE;
}

/* The event that `threading`'s hook was called with, before we were attached. */
static PyObject *thread_called(Thread *t, PyObject *frame) {
    if (!PyFrame_Check(frame)) return PyErr_Format(PyExc_TypeError, "a frame is needed");
    Place at = place_in((PyFrameObject *)frame);
    if (on_event(t, &at, PyTrace_CALL, NULL) < 0) return NULL;
    Py_RETURN_NONE;
}

/* A program that puts back what it had from `sys.gettrace` calls us as any trace function is called. We take our place
   again; activations that were left meanwhile are forgotten. In another thread, that thread's own tape takes it. */
static PyObject *thread_call(Thread *t, PyObject *args, PyObject *kwargs) {
    PyObject *frame, *event, *arg;
    if (!PyArg_ParseTuple(args, "O!UO", &PyFrame_Type, &frame, &event, &arg)) return NULL;
    if (PyUnicode_CompareWithASCIIString(event, "call") != 0) Py_RETURN_NONE;
    t->was_displaced = true;
    if (t->id != PyThreadState_Get()->id) {
        PyObject *done = PyObject_CallMethod(t->engine->owner, "elsewhere", "O", frame);
        if (done != NULL || !PyErr_ExceptionMatches(PyExc_ReferenceError)) return done;
        PyErr_Clear(); /* nobody waits for this recording any more */
        Py_RETURN_NONE;
    }
    IFrame *outer = ((PyFrameObject *)frame)->f_frame->previous;
    for (int i = t->height - 1; i >= 0; i--) {
        IFrame *at = outer;
        while (at != NULL && at != t->stack[i]->frame) at = at->previous;
        if (at != NULL && FRAME_CODE(at) == t->stack[i]->code->code) break;
        pop(t, t->stack[i]);
    }
    PyEval_SetTrace(trace, (PyObject *)t);
    return thread_called(t, frame);
}

static PyObject *thread_frames(Thread *t, PyObject *none) {
    PyObject *frames = PyList_New(t->ends.len);
    Py_ssize_t start = 0;
    for (Py_ssize_t i = 0; frames && i < t->ends.len; i++) {
        PyObject *text = PyUnicode_DecodeUTF8(t->tape.data + start, t->ends.data[i] - start, NULL);
        if (text == NULL) { Py_CLEAR(frames); break; }
        PyList_SET_ITEM(frames, i, text);
        start = t->ends.data[i] + 1; /* a comma lies between */
    }
    return frames;
}

static bool is_ascii(const char *text, Py_ssize_t len) {
    uint64_t found = 0, words[4];
    for (; len >= (Py_ssize_t)sizeof words; text += sizeof words, len -= sizeof words) {
        memcpy(words, text, sizeof words);
        found |= words[0] | words[1] | words[2] | words[3];
    }
    while (len--) found |= (unsigned char)*text++;
    return !(found & 0x8080808080808080ull);
}

static Py_ssize_t thread_end(Thread *t) { return t->ends.len ? t->ends.data[t->ends.len - 1] : 0; }

/* All frames, with commas between them, between two texts. */
static PyObject *thread_text(Thread *t, PyObject *args) {
    const char *before, *after;
    Py_ssize_t len_before, len_after, len = thread_end(t);
    if (!PyArg_ParseTuple(args, "s#s#", &before, &len_before, &after, &len_after)) return NULL;
    if (is_ascii(before, len_before) && is_ascii(t->tape.data, len) && is_ascii(after, len_after)) {
        PyObject *text = PyUnicode_New(len_before + len + len_after, 127);
        if (text == NULL) return NULL;
        char *out = (char *)PyUnicode_1BYTE_DATA(text);
        memcpy(out, before, len_before);
        if (len) memcpy(out + len_before, t->tape.data, len);
        memcpy(out + len_before + len, after, len_after);
        return text;
    }
    Buf all = {NULL, 0, 0};
    if (buf_room(&all, len_before + len + len_after) < 0) return NULL;
    buf_put(&all, before, len_before);
    buf_put(&all, t->tape.data, len);
    buf_put(&all, after, len_after);
    PyObject *text = PyUnicode_DecodeUTF8(all.data, all.len, NULL);
    PyMem_RawFree(all.data);
    return text;
}

static PyObject *thread_get(Thread *t, void *what) {
    switch ((intptr_t)what) {
    case 0: return PyBool_FromLong(t->is_live);
    case 1: return PyLong_FromLongLong(t->num_cut);
    case 2: return PyLong_FromSsize_t(t->ends.len);
    case 4: return PyBool_FromLong(t->was_displaced);
    case 5: return PyBool_FromLong(t->id == PyThreadState_Get()->id);
    default: return PyLong_FromSsize_t(thread_end(t) - (t->ends.len ? t->ends.len - 1 : 0));
    }
}

static int thread_set_live(Thread *t, PyObject *value, void *what) {
    t->is_live = value == Py_True; /* NULL where it is deleted */
    return 0;
}

/* The buffers of a thread that is over, for the next one: memory that is there is faster than fresh memory. */
static struct {
    Buf tape, json;
    Words ends, words, refs;
} spare;

#define MAX_SPARE (4 << 20)

static void buf_spare(Buf *b, Buf *into) {
    if (into->data == NULL && b->cap <= MAX_SPARE) *into = (Buf){b->data, 0, b->cap};
    else PyMem_RawFree(b->data);
}

static void words_spare(Words *w, Words *into) {
    if (into->data == NULL && w->cap <= MAX_SPARE / 8) *into = (Words){w->data, 0, w->cap};
    else PyMem_RawFree(w->data);
}

static void thread_take_spare(Thread *t) {
    t->tape = spare.tape;
    t->json = spare.json;
    t->ends = spare.ends;
    t->words = spare.words;
    t->refs = spare.refs;
    memset(&spare, 0, sizeof spare);
}

static void thread_dealloc(Thread *t) {
    while (t->height) activation_free(t->stack[--t->height]);
    PyMem_RawFree(t->stack);
    refs_clear(&t->refs);
    PyMem_RawFree(t->visits.table);
    PyMem_RawFree(t->visits.objects);
    buf_spare(&t->tape, &spare.tape);
    buf_spare(&t->json, &spare.json);
    words_spare(&t->ends, &spare.ends);
    words_spare(&t->words, &spare.words);
    words_spare(&t->refs, &spare.refs);
    Py_XDECREF(t->unknown);
    Py_XDECREF(t->engine);
    Py_TYPE(t)->tp_free((PyObject *)t);
}

static PyMethodDef thread_methods[] = {
    {"attach", (PyCFunction)thread_attach, METH_NOARGS, "Trace the calling thread."},
    {"called", (PyCFunction)thread_called, METH_O, "A call that was met before the thread was traced."},
    {"frames", (PyCFunction)thread_frames, METH_NOARGS, "The frames, each as a JSON object."},
    {"text", (PyCFunction)thread_text, METH_VARARGS, "All frames, with commas between them, between two texts."},
    {NULL, NULL, 0, NULL}
};
static PyGetSetDef thread_getset[] = {
    {"is_live", (getter)thread_get, (setter)thread_set_live, "Whether anything more is recorded.", (void *)0},
    {"num_cut", (getter)thread_get, NULL, "Texts that were cut.", (void *)1},
    {"num_frames", (getter)thread_get, NULL, NULL, (void *)2},
    {"num_bytes", (getter)thread_get, NULL, NULL, (void *)3},
    {"was_displaced", (getter)thread_get, NULL, "Whether the program had taken us off for a while.", (void *)4},
    {"is_here", (getter)thread_get, NULL, "Whether the calling thread is the one that we were attached to.", (void *)5},
    {NULL, NULL, NULL, NULL, NULL}
};
static PyTypeObject ThreadType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "opencwm._native.Thread",
    .tp_basicsize = sizeof(Thread),
    .tp_dealloc = (destructor)thread_dealloc,
    .tp_call = (ternaryfunc)thread_call,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "The activations and the tape of one thread.",
    .tp_methods = thread_methods,
    .tp_getset = thread_getset,
};

/* -- Codes -------------------------------------------------------------------------------------------------------- */

static void codes_dealloc(Codes *codes) {
    for (Py_ssize_t i = 0; codes->table && i <= codes->mask; i++)
        if (codes->table[i]) code_free(codes->table[i]);
    PyMem_RawFree(codes->table);
    Py_TYPE(codes)->tp_free((PyObject *)codes);
}

static PyTypeObject CodesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "opencwm._native.Codes",
    .tp_basicsize = sizeof(Codes),
    .tp_dealloc = (destructor)codes_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "What is known about code under one scope, for all its recordings.",
    .tp_new = PyType_GenericNew,
};

/* -- Engine ------------------------------------------------------------------------------------------------------- */

static int limit_of(PyObject *options, const char *name, Py_ssize_t *into) {
    PyObject *value = PyObject_GetAttrString(options, name);
    if (value == NULL) return -1;
    *into = value == Py_None ? PY_SSIZE_T_MAX : PyLong_AsSsize_t(value);
    Py_DECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

static int ops_of(PyObject *ops, unsigned char *into, int room, int *num) {
    *num = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(ops) && i < room; i++)
        into[(*num)++] = (unsigned char)PyLong_AsLong(PyTuple_GET_ITEM(ops, i));
    return PyErr_Occurred() ? -1 : 0;
}

static int engine_init(Engine *e, PyObject *args, PyObject *kwargs) {
    PyObject *options, *returns, *loops;
    double timeout;
    int is_repr, stops_program, full_after_return;
    static uint64_t num_recordings;
    if (!PyArg_ParseTuple(args, "OOOO!OOOdpppiiO!O!O", &e->owner, &options, &e->scope, &CodesType, &e->codes,
                          &e->writer, &e->describe, &e->budget_stop, &timeout, &is_repr, &stops_program,
                          &full_after_return, &e->op_yield, &e->op_resume, &PyTuple_Type, &returns, &PyTuple_Type,
                          &loops, &e->disable)) {
        e->disable = e->owner = e->scope = e->writer = e->describe = e->budget_stop = NULL;
        e->codes = NULL;
        return -1;
    }
    e->serial = ++num_recordings;
    Py_INCREF(e->codes);
    Py_INCREF(e->owner);
    Py_INCREF(e->scope);
    Py_INCREF(e->writer);
    Py_INCREF(e->describe);
    Py_INCREF(e->budget_stop);
    Py_INCREF(e->disable);
    e->is_repr = is_repr;
    e->stops_program = stops_program;
    e->full_after_return = full_after_return;
    e->deadline = timeout > 0 ? now() + timeout : 0;
    Py_ssize_t max_frames, max_bytes;
    if (limit_of(options, "max_depth", &e->max_depth) < 0 || limit_of(options, "max_items", &e->max_items) < 0 ||
        limit_of(options, "max_chars", &e->max_chars) < 0 || limit_of(options, "max_frames", &max_frames) < 0 ||
        limit_of(options, "max_bytes", &max_bytes) < 0 || ops_of(returns, e->op_returns, 2, &e->num_returns) < 0 ||
        ops_of(loops, e->op_loops, 3, &e->num_loops) < 0)
        return -1;
    e->max_frames = max_frames;
    e->max_bytes = max_bytes;
    const struct { PyTypeObject *type; Kind kind; } known[] = {
        {&PyLong_Type, K_INT}, {&PyUnicode_Type, K_STR}, {&PyFloat_Type, K_FLOAT}, {&PyBool_Type, K_NAMED},
        {Py_TYPE(Py_None), K_NAMED}, {Py_TYPE(Py_Ellipsis), K_NAMED}, {Py_TYPE(Py_NotImplemented), K_NAMED},
        {&PyBytes_Type, K_BYTES}, {&PyComplex_Type, K_COMPLEX},
        {&PyList_Type, K_LIST}, {&PyTuple_Type, K_TUPLE}, {&PyDict_Type, K_DICT}, {&PySet_Type, K_SET},
        {&PyFrozenSet_Type, K_FROZENSET},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (class_add(e, known[i].type, known[i].kind, NULL) == NULL) return -1;
    return 0;
}

static PyObject *engine_thread(Engine *e, PyObject *none) {
    Thread *t = (Thread *)ThreadType.tp_alloc(&ThreadType, 0);
    if (t == NULL) return NULL;
    Py_INCREF(e);
    t->engine = e;
    t->is_live = true;
    thread_take_spare(t);
    return (PyObject *)t;
}

/* The system's idents are used again, these are not. */
static PyObject *engine_thread_ids(Engine *e, PyObject *none) {
    PyThreadState *here = PyThreadState_Get(), *newest = PyInterpreterState_ThreadHead(here->interp);
    return Py_BuildValue("KK", (unsigned long long)here->id, (unsigned long long)newest->id);
}

static PyObject *engine_is_spent(Engine *e, void *what) { return PyBool_FromLong(e->is_spent); }

static int engine_set_spent(Engine *e, PyObject *value, void *what) {
    e->is_spent = value == Py_True;
    return 0;
}

static void engine_dealloc(Engine *e) {
    for (Py_ssize_t i = 0; e->classes.table && i <= e->classes.mask; i++)
        if (e->classes.table[i].type) {
            form_drop(e->classes.table[i].form);
            Py_DECREF(e->classes.table[i].type);
        }
    PyMem_RawFree(e->classes.table);
    Py_XDECREF(e->owner);
    Py_XDECREF(e->scope);
    Py_XDECREF(e->codes);
    Py_XDECREF(e->writer);
    Py_XDECREF(e->describe);
    Py_XDECREF(e->budget_stop);
    Py_XDECREF(e->disable);
    Py_TYPE(e)->tp_free((PyObject *)e);
}

static PyMethodDef engine_methods[] = {
    {"thread", (PyCFunction)engine_thread, METH_NOARGS, "A tape for one more thread."},
    {"thread_ids", (PyCFunction)engine_thread_ids, METH_NOARGS, "Of the calling thread and of the newest."},
#if PY_VERSION_HEX >= 0x030C0000
    {"at_start", (PyCFunction)(void (*)(void))at_start, METH_FASTCALL, "PY_START, PY_RESUME"},
    {"at_throw", (PyCFunction)(void (*)(void))at_throw, METH_FASTCALL, "PY_THROW"},
    {"at_line", (PyCFunction)(void (*)(void))at_line, METH_FASTCALL, "LINE"},
    {"at_jump", (PyCFunction)(void (*)(void))at_jump, METH_FASTCALL, "JUMP"},
    {"at_return", (PyCFunction)(void (*)(void))at_return, METH_FASTCALL, "PY_RETURN, PY_YIELD"},
    {"at_unwind", (PyCFunction)(void (*)(void))at_unwind, METH_FASTCALL, "PY_UNWIND"},
    {"at_exception", (PyCFunction)(void (*)(void))at_exception, METH_FASTCALL, "RAISE, STOP_ITERATION"},
#endif
    {NULL, NULL, 0, NULL}
};
static PyGetSetDef engine_getset[] = {
    {"is_spent", (getter)engine_is_spent, (setter)engine_set_spent, "Whether the budget is spent.", NULL},
    {NULL, NULL, NULL, NULL, NULL}
};
static PyTypeObject EngineType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "opencwm._native.Engine",
    .tp_basicsize = sizeof(Engine),
    .tp_dealloc = (destructor)engine_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "What all threads of one recording share.",
    .tp_methods = engine_methods,
    .tp_getset = engine_getset,
    .tp_init = (initproc)engine_init,
    .tp_new = PyType_GenericNew,
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", "The native engine of the recorder.", -1, NULL};

PyMODINIT_FUNC PyInit__native(void) {
    if (PyType_Ready(&ThreadType) < 0 || PyType_Ready(&CodesType) < 0 || PyType_Ready(&EngineType) < 0) return NULL;
    str_module_name = PyUnicode_InternFromString("__name__");
    if (str_module_name == NULL) return NULL;
    PyObject *m = PyModule_Create(&module);
    if (m == NULL) return NULL;
    if (PyModule_AddType(m, &CodesType) < 0 || PyModule_AddType(m, &EngineType) < 0) Py_CLEAR(m);
    return m;
}
