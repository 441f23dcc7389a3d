# Files compiled into the program. Run as a script: cmake -DFOLDER=<folder> -DTABLE=<name> -DOUTPUT=<file.c> -P embed.cmake
# writes the folder's files, in the order of their names, as the table <name>_files of src/api/embedded.h. The same files
# give the same bytes.
file(GLOB files ${FOLDER}/*)
set(contents)
set(rows)
set(count 0)
foreach(file ${files})
    get_filename_component(name ${file} NAME)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
    file(SHA256 ${file} hash)
    string(SUBSTRING ${hash} 0 32 hash)
    string(APPEND contents "static const char content_${count}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", \"\\\"${hash}\\\"\", {content_${count}, sizeof content_${count} - 1}},\n")
    math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"api/embedded.h\"\n\n${contents}
const struct embedded_file ${TABLE}_files[] = {\n${rows}};\nconst size_t ${TABLE}_file_count = ${count};\n")
