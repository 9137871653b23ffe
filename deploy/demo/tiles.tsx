<?xml version="1.0" encoding="UTF-8"?>
<tileset version="1.8" tiledversion="1.8.2" name="island" tilewidth="16" tileheight="16" tilecount="32" columns="8">
 <image source="tiles.png" width="128" height="64"/>
 <tile id="0" type="deep water"/>
 <tile id="1" type="deep water"/>
 <tile id="2" type="water"/>
 <tile id="3" type="water"/>
 <tile id="4" type="shallow water"/>
 <tile id="5" type="shallow water"/>
 <tile id="6" type="sand"/>
 <tile id="7" type="sand"/>
 <tile id="8" type="grass"/>
 <tile id="9" type="grass"/>
 <tile id="10" type="grass"/>
 <tile id="11" type="meadow"/>
 <tile id="12" type="meadow"/>
 <tile id="13" type="flowers"/>
 <tile id="14" type="flowers"/>
 <tile id="15" type="forest floor"/>
 <tile id="16" type="forest floor"/>
 <tile id="17" type="hill"/>
 <tile id="18" type="hill"/>
 <tile id="19" type="path"/>
 <tile id="20" type="path"/>
 <tile id="21" type="bridge"/>
 <tile id="22" type="tree"/>
 <tile id="23" type="tree"/>
 <tile id="24" type="autumn tree"/>
 <tile id="25" type="pine"/>
 <tile id="26" type="pine"/>
 <tile id="27" type="rock"/>
 <tile id="28" type="rock"/>
 <tile id="29" type="house"/>
 <tile id="30" type="house"/>
 <tile id="31" type="house"/>
</tileset>
