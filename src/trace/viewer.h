/*
 * The page that shows a report: one HTML file, built from viewer/ and kept in this folder as viewer.html.
 */
#ifndef WTR_VIEWER_H
#define WTR_VIEWER_H

#include <stddef.h>

extern const unsigned char wtr_viewer_page[];
extern const size_t wtr_viewer_page_len;

#endif
