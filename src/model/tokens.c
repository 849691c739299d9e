/* tokens.c - how many tokens a text may cost, without the model's tokenizer.
 *
 * Byte-pair tokenizers of code models give 3.3 to 4.5 bytes a token for English and source
 * text, but many of them split every digit, and what is not ASCII costs a token for one to
 * three bytes.  Counting those classes separately keeps the estimate above the truth
 * without being twice as large for ordinary files.
 */
#include "model/chat.h"

#include <ctype.h>

enum { MESSAGE_OVERHEAD = 8 }; /* role and the template's marks around a message */

int64_t tokens_estimate(const char *text, size_t len)
{
    int64_t thirds = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        thirds += c >= 0x80 ? 2 : isdigit(c) ? 3 : 1;
    }
    return (thirds + 2) / 3;
}

int64_t tokens_estimate_messages(const struct chat_message *messages, size_t count)
{
    int64_t sum = MESSAGE_OVERHEAD; /* the opening of the answer */
    for (size_t i = 0; i < count; i++)
        sum += MESSAGE_OVERHEAD + tokens_estimate(messages[i].text, strlen(messages[i].text));
    return sum;
}
