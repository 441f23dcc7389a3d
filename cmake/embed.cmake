# Files compiled into the program. Run as a script: cmake -DFOLDER=<folder> -DOUTPUT=<file.c> -P embed.cmake writes the
# folder's files, in the order of their names, as the table of src/api/voice_files.h. The same files give the same bytes.
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
file(WRITE ${OUTPUT} "#include \"api/voice_files.h\"\n\n${contents}
const struct voice_file voice_files[] = {\n${rows}};\nconst size_t voice_file_count = ${count};\n")
